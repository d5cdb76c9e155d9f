"""What may happen to an account with its devices, sign-ins and profiles, and to an API key."""

from typing import Final

from hypothesis import strategies as st
from msgspec.structs import replace

from commands.identity import commands as c
from commands.identity.api_keys import API_KEY, IssueApiKey, RevokeApiKey
from commands.identity.decider import ACCOUNT
from events.envelope import Envelope, Event
from events.identity import Role
from events.types import Sealed, SignInId
from tests.projections.generated.lives import Stream, always, lives, side_by_side
from tests.projections.identity.histories import (
    ANNA,
    BO,
    DUBBED,
    EMAIL,
    ISSUED,
    KEY,
    ME,
    OTHER_EMAIL,
    PHONE,
    TV,
    sign_in,
)

NEW: Final = (
    sign_in("s1", TV),
    sign_in("s2", PHONE),
    sign_in("s3", TV, known_as=TV.device_id),
    sign_in("s4", PHONE, instead_of=TV.device_id),
    *(c.CreateProfile(proved=True, profile=each, profiles_allowed=5) for each in (ANNA, BO)),
)
CHANGES: Final = (
    c.ChangeEmail(email=OTHER_EMAIL),
    c.ChangePassword(method="changed", kept=SignInId("s2")),
    c.SignOut(sign_in_id=SignInId("s1")),
    c.SignOutEverywhere(kept=SignInId("s3")),
    c.RenameDevice(device_id=TV.device_id, name=Sealed("p1.den")),
    *(c.RemoveDevice(device_id=each.device_id) for each in (TV, PHONE)),
    c.ChangeProfile(proved=True, profile=replace(ANNA, avatar="owl")),
    c.ChangePreferences(profile_id=ANNA.profile_id, preferences=DUBBED),
    *(c.SetPin(proved=True, profile_id=each.profile_id) for each in (ANNA, BO)),
    c.RemovePin(proved=True, profile_id=ANNA.profile_id),
    c.DeleteProfile(proved=True, profile_id=BO.profile_id),
    *(c.GrantRole(role=role) for role in (Role.OPERATOR, Role.EDITOR)),
    c.RevokeRole(role=Role.OPERATOR),
)


def _account() -> Stream:
    register = always(c.RegisterAccount(account_id=ME, email=EMAIL))
    asks = tuple(map(always, (*NEW, *NEW, *CHANGES, c.WithdrawAccount())))
    return Stream(f"identity.account-{ME}", ACCOUNT, ((register,), (register, *map(always, NEW))), asks)


def _api_key() -> Stream:
    asks = (always(RevokeApiKey(api_key_id=KEY)),)
    return Stream(f"identity.api_key-{KEY}", API_KEY, ((always(IssueApiKey(issued=ISSUED)),),), asks)


def histories() -> st.SearchStrategy[list[Envelope[Event]]]:
    """Records of identity.events."""
    return side_by_side(lives(_account(), 40), lives(_api_key(), 2))
