"""Accounts as they came to be, for tests of what is allowed next."""

from typing import Any, Final

from msgspec.structs import replace

from commands.identity.decider import ACCOUNT
from events.identity import (
    AccountRegistered,
    AccountWithdrawn,
    Device,
    DeviceRegistered,
    ErasureGround,
    PersonErased,
    Profile,
    ProfileCreated,
    ProfilePinSet,
    Role,
    RoleGranted,
    SignedIn,
    SignInMethod,
)
from events.types import AccountId, DeviceId, ProfileId, Sealed, SignInId
from tests.spec import Spec

account: Final = Spec(ACCOUNT)

ME: Final = AccountId("a1")
MY_EMAIL: Final = Sealed("p1.ann@example.com")
ANOTHER_EMAIL: Final = Sealed("p1.ann@example.org")
TV: Final = DeviceId("tv-1")
PHONE: Final = DeviceId("phone-1")
ON_TV: Final = SignInId("sign-in-tv")
ON_PHONE: Final = SignInId("sign-in-phone")
ANN: Final = ProfileId("ann")
KID: Final = ProfileId("kid")


def device(device_id: DeviceId = TV, **changes: Any) -> Device:
    """A television, unless told otherwise."""
    return replace(Device(device_id=device_id, name=Sealed("p1.Den"), type="tv"), **changes)


def profile(profile_id: ProfileId = ANN, **changes: Any) -> Profile:
    """A profile without limits, unless told otherwise."""
    return replace(Profile(profile_id=profile_id, name=Sealed(f"p1.{profile_id}")), **changes)


def registered(email: Sealed = MY_EMAIL) -> AccountRegistered:
    return AccountRegistered(account_id=ME, email=email)


def withdrawn() -> AccountWithdrawn:
    return AccountWithdrawn(account_id=ME)


def erased(sealed_events: int = 1, ground: ErasureGround = "request") -> PersonErased:
    return PersonErased(account_id=ME, ground=ground, sealed_events=sealed_events)


def granted(role: Role = Role.EDITOR) -> RoleGranted:
    return RoleGranted(account_id=ME, role=role)


def device_registered(device_id: DeviceId = TV, **changes: Any) -> DeviceRegistered:
    return DeviceRegistered(account_id=ME, device=device(device_id, **changes))


def signed_in(sign_in_id: SignInId = ON_TV, device_id: DeviceId = TV, method: SignInMethod = "password") -> SignedIn:
    return SignedIn(account_id=ME, sign_in_id=sign_in_id, device_id=device_id, method=method)


def profile_created(profile_id: ProfileId = ANN, **changes: Any) -> ProfileCreated:
    return ProfileCreated(account_id=ME, profile=profile(profile_id, **changes))


def pin_set(profile_id: ProfileId = ANN) -> ProfilePinSet:
    return ProfilePinSet(account_id=ME, profile_id=profile_id)


REGISTERED: Final = (registered(),)
AT_HOME: Final = (
    *REGISTERED,
    device_registered(TV),
    signed_in(ON_TV, TV),
    device_registered(PHONE, type="phone"),
    signed_in(ON_PHONE, PHONE),
)
"""Signed in on a television and on a phone."""
WITHDRAWN: Final = (*REGISTERED, withdrawn())
"""As accounts were withdrawn before there were certificates."""
ERASED: Final = (*WITHDRAWN, erased())
