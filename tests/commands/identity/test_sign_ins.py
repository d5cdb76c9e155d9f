"""Signing in and out, and nothing twice. The devices that it happens on: test_devices.py."""

import pytest

from commands.identity import commands as c
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown, DeviceLimitReached, DeviceUnknown
from events.identity import DeviceRegistered, SignedIn, SignedOut, SignInMethod, SignOutReason
from events.types import DeviceId, SignInId
from tests.commands.identity.histories import (
    AT_HOME,
    ME,
    ON_PHONE,
    ON_TV,
    PHONE,
    REGISTERED,
    TV,
    WITHDRAWN,
    account,
    device,
    device_registered,
    signed_in,
)

NEW: SignInId = SignInId("sign-in-new")
TABLET: DeviceId = DeviceId("tablet-1")


def sign_in(
    *,
    known_as: DeviceId | None = None,
    method: SignInMethod = "password",
    allowed: int = 2,
    instead_of: DeviceId | None = None,
) -> c.SignIn:
    """Sign in on a tablet, unless told otherwise."""
    return c.SignIn(
        sign_in_id=NEW,
        device=device(TABLET, type="tablet"),
        known_as=known_as,
        method=method,
        devices_allowed=allowed,
        instead_of=instead_of,
    )


def signed_out(sign_in_id: SignInId, device_id: DeviceId, reason: SignOutReason) -> SignedOut:
    return SignedOut(account_id=ME, sign_in_id=sign_in_id, device_id=device_id, reason=reason)


def on(device_id: DeviceId, method: SignInMethod = "password") -> SignedIn:
    return SignedIn(account_id=ME, sign_in_id=NEW, device_id=device_id, method=method)


TABLET_REGISTERED = DeviceRegistered(account_id=ME, device=device(TABLET, type="tablet"))


@pytest.mark.parametrize("method", ["password", "registration", "device_code"])
def test_signing_in_registers_a_device_that_is_new(method: SignInMethod) -> None:
    account.given(*REGISTERED).when(sign_in(method=method)).then(TABLET_REGISTERED, on(TABLET, method))


def test_signing_in_twice_under_one_id_is_one_sign_in() -> None:
    history = (*REGISTERED, TABLET_REGISTERED, on(TABLET))
    account.given(*history).when(sign_in(allowed=1)).ignored()


def test_a_device_that_is_not_there_makes_no_room() -> None:
    account.given(*AT_HOME).when(sign_in(instead_of=TABLET)).refused(DeviceUnknown)


def test_who_leaves_a_plan_keeps_the_devices_and_adds_none() -> None:
    account.given(*AT_HOME).when(sign_in(allowed=0, instead_of=TV)).refused(DeviceLimitReached)


@pytest.mark.parametrize("reason", ["signed_out", "refresh_token_reused"])
def test_a_sign_in_ends_for_a_reason(reason: SignOutReason) -> None:
    ended = signed_out(ON_TV, TV, reason)
    account.given(*AT_HOME).when(c.SignOut(sign_in_id=ON_TV, reason=reason)).then(ended)


def test_ending_a_sign_in_twice_is_ignored() -> None:
    history = (*AT_HOME, signed_out(ON_TV, TV, "signed_out"))
    account.given(*history).when(c.SignOut(sign_in_id=ON_TV)).ignored()
    account.given(*history).when(c.SignOut(sign_in_id=NEW)).ignored()


def test_a_device_is_kept_when_its_sign_in_ends() -> None:
    history = (*REGISTERED, device_registered(TV), signed_in(ON_TV, TV), signed_out(ON_TV, TV, "signed_out"))
    account.given(*history).when(sign_in(known_as=TV, allowed=1)).then(on(TV))


def test_signing_out_everywhere_ends_all_sign_ins() -> None:
    account.given(*AT_HOME).when(c.SignOutEverywhere()).then(
        signed_out(ON_TV, TV, "everywhere"), signed_out(ON_PHONE, PHONE, "everywhere")
    )


def test_signing_out_everywhere_else_keeps_the_one_that_asks() -> None:
    account.given(*AT_HOME).when(c.SignOutEverywhere(kept=ON_PHONE)).then(signed_out(ON_TV, TV, "everywhere"))


def test_signing_out_everywhere_twice_is_ignored() -> None:
    account.given(*REGISTERED).when(c.SignOutEverywhere()).ignored()


@pytest.mark.parametrize("command", [sign_in(), c.SignOut(sign_in_id=ON_TV), c.SignOutEverywhere()])
def test_nobody_signs_in_or_out_of_an_account_that_is_not_there(command: c.SignInCommand) -> None:
    account.given().when(command).refused(AccountUnknown)
    account.given(*WITHDRAWN).when(command).refused(AccountIsWithdrawn)
