"""Sign-ins and devices, in every state that they can be in."""

from typing import Any, Final

import pytest

from commands.identity import commands as c
from commands.identity.decider import ACCOUNT
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown, DeviceLimitReached, DeviceUnknown
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    Device,
    DeviceRegistered,
    DeviceRemoved,
    DeviceRenamed,
    SignedIn,
    SignedOut,
    SignOutReason,
)
from events.types import AccountId, DeviceId, Sealed, SignInId
from tests.spec import Given, Spec

ME: Final = AccountId("a1")
account: Final = Spec(ACCOUNT)


def device(number: int) -> Device:
    return Device(device_id=DeviceId(f"d{number}"), name=Sealed(f"p1.{number}"), type="tv")


def signed_in(sign_in: int, on: int) -> SignedIn:
    return SignedIn(account_id=ME, sign_in_id=SignInId(f"s{sign_in}"), device_id=DeviceId(f"d{on}"), method="password")


def signed_out(sign_in: int, on: int, reason: SignOutReason) -> SignedOut:
    return SignedOut(account_id=ME, sign_in_id=SignInId(f"s{sign_in}"), device_id=DeviceId(f"d{on}"), reason=reason)


def registered(number: int) -> DeviceRegistered:
    return DeviceRegistered(account_id=ME, device=device(number))


def removed(number: int) -> DeviceRemoved:
    return DeviceRemoved(account_id=ME, device_id=DeviceId(f"d{number}"))


def household(*more: Any) -> Given[c.AccountCommand, Any]:
    """An account that is signed in on two devices."""
    return account.given(
        AccountRegistered(account_id=ME, email=Sealed("p1.mail")),
        registered(1),
        signed_in(1, on=1),
        registered(2),
        signed_in(2, on=2),
        *more,
    )


def sign_in(number: int, on: int, allowed: int = 2, *, known: bool = False, instead_of: int | None = None) -> c.SignIn:
    """Sign in on a device; `known`: it says who it is."""
    return c.SignIn(
        sign_in_id=SignInId(f"s{number}"),
        device=device(on),
        known_as=DeviceId(f"d{on}") if known else None,
        method="password",
        devices_allowed=allowed,
        instead_of=DeviceId(f"d{instead_of}") if instead_of else None,
    )


EVERY: Final = (
    sign_in(3, on=3),
    c.RenameDevice(device_id=DeviceId("d1"), name=Sealed("p1.new")),
    c.RemoveDevice(device_id=DeviceId("d1")),
)


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_no_account_and_a_closed_one_have_no_devices(command: c.SignInCommand) -> None:
    account.given().when(command).refused(AccountUnknown)
    household(AccountWithdrawn(account_id=ME)).when(command).refused(AccountIsWithdrawn)


@pytest.mark.parametrize("command", EVERY[1:], ids=lambda command: type(command).__name__)
def test_a_device_that_was_removed_or_never_there_is_unknown(command: c.SignInCommand) -> None:
    household(signed_out(1, 1, "device_removed"), removed(1)).when(command).refused(DeviceUnknown)
    account.given(AccountRegistered(account_id=ME, email=Sealed("p1.mail"))).when(command).refused(DeviceUnknown)


def test_a_new_device_is_registered_while_there_is_room() -> None:
    household().when(sign_in(3, on=3, allowed=3)).then(registered(3), signed_in(3, on=3))


def test_a_device_too_many_is_refused_with_those_that_there_are() -> None:
    refusal = household().when(sign_in(3, on=3)).refused(DeviceLimitReached)
    assert refusal.members == {"devices_allowed": 2, "device_ids": ["d1", "d2"]}


def test_a_device_that_signs_in_again_needs_no_room_and_its_last_sign_in_ends() -> None:
    household().when(sign_in(3, on=1, allowed=1, known=True)).then(
        signed_out(1, on=1, reason="replaced"), signed_in(3, on=1)
    )


def test_another_device_can_be_removed_to_make_room() -> None:
    household().when(sign_in(3, on=3, instead_of=2)).then(
        signed_out(2, on=2, reason="device_removed"), removed(2), registered(3), signed_in(3, on=3)
    )
    household().when(sign_in(3, on=3, allowed=1, instead_of=2)).refused(DeviceLimitReached)  # one was not enough
    household().when(sign_in(3, on=3, instead_of=9)).refused(DeviceUnknown)


def test_a_device_that_was_removed_is_another_one_when_it_comes_back() -> None:
    gone = (signed_out(1, 1, "device_removed"), removed(1))
    came_back = c.SignIn(
        sign_in_id=SignInId("s3"),
        device=device(3),
        known_as=DeviceId("d1"),
        method="password",
        devices_allowed=2,
    )
    household(*gone).when(came_back).then(registered(3), signed_in(3, on=3))


def test_a_device_that_removes_itself_to_make_room_comes_back_as_another() -> None:
    command = c.SignIn(
        sign_in_id=SignInId("s3"),
        device=device(3),
        known_as=DeviceId("d1"),
        method="password",
        devices_allowed=2,
        instead_of=DeviceId("d1"),
    )
    household().when(command).then(
        signed_out(1, on=1, reason="device_removed"), removed(1), registered(3), signed_in(3, on=3)
    )


def test_a_device_is_renamed_and_the_same_name_is_ignored() -> None:
    rename = c.RenameDevice(device_id=DeviceId("d1"), name=Sealed("p1.new"))
    renamed = DeviceRenamed(account_id=ME, device_id=DeviceId("d1"), name=Sealed("p1.new"))
    household().when(rename).then(renamed)
    household(renamed).when(rename).ignored()


def test_removing_a_device_ends_its_sign_in_and_no_other() -> None:
    household().when(c.RemoveDevice(device_id=DeviceId("d1"))).then(
        signed_out(1, on=1, reason="device_removed"), removed(1)
    )
    signed_off = signed_out(1, on=1, reason="signed_out")
    household(signed_off).when(c.RemoveDevice(device_id=DeviceId("d1"))).then(removed(1))
