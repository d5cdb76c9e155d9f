"""The identity context's views: what each event makes of a row."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from events import identity as e
from events.envelope import Envelope, Event
from events.types import SignInId
from projections.identity.accounts import Account, Accounts
from projections.identity.api_keys import ApiKey, ApiKeys
from projections.identity.devices import AccountDevices, DeviceItem, Devices
from projections.identity.profiles import AccountProfiles, ProfileItem, Profiles
from projections.identity.revoked import CLOCKS_APART_S, Revoked, RevokedSignIns, TokenLifetimes
from projections.identity.sign_ins import SignIn, SignIns
from projections.views import Shelf
from tests.builders import envelope, recorded
from tests.projections.folds import project, rows_after
from tests.projections.identity.histories import (
    A_KEY,
    A_LIFE,
    ANNA,
    BO,
    DUBBED,
    EMAIL,
    ISSUED,
    KEY,
    ME,
    OTHER_EMAIL,
    PHONE,
    T0,
    TV,
    at,
    of_me,
    sign_in,
)

LATER = T0 + timedelta(hours=1)
REVOKED = RevokedSignIns(TokenLifetimes(access_s=900, playback_s=86_400), most_rows=10)
S1 = SignInId("s1")


def later(event: Event, **changes: Any) -> Envelope[Event]:
    return envelope(event, time=LATER, **changes)


ACCOUNT = Account(account_id=ME, email=EMAIL, registered_at=T0, updated_at=T0)
CHANGED = replace(ACCOUNT, updated_at=LATER)
EDITOR = replace(CHANGED, roles=("editor",))
ANNA_ITEM = ProfileItem(
    profile_id="anna", name="p1.anna", avatar="fox", language="nl", kids=False, maturity_limit=None, created_at=T0
)
BO_ITEM = ProfileItem(
    profile_id="bo", name="p1.bo", avatar=None, language="en", kids=True, maturity_limit=7, created_at=LATER
)
ONE_PROFILE = AccountProfiles(ME, (ANNA_ITEM,))
TWO_PROFILES = AccountProfiles(ME, (ANNA_ITEM, BO_ITEM))
WITH_PIN = AccountProfiles(ME, (replace(ANNA_ITEM, has_pin=True), BO_ITEM))
DEN = DeviceItem(
    device_id="tv", name="p1.tv", type="tv", platform="webos", model="C3", registered_at=T0, last_signed_in_at=T0
)
PHONE_ITEM = DeviceItem(
    device_id="phone", name="p1.phone", type="phone", platform=None, model=None, registered_at=LATER
)
ONE_DEVICE = AccountDevices(ME, (DEN,))
TWO_DEVICES = AccountDevices(ME, (DEN, PHONE_ITEM))
SIGNED_IN = SignIn(sign_in_id="s1", account_id=ME, device_id="tv", method="password", signed_in_at=T0)
ISSUED_KEY = ApiKey(
    api_key_id=KEY,
    name="Dashboard",
    scopes=("operations:read", "playback:read"),
    issued_at=LATER,
    issued_by="operator-1",
    expires_at=None,
)
WITHDRAWN = e.AccountWithdrawn(account_id=ME)
BEGAN = e.SignedIn(account_id=ME, sign_in_id=S1, device_id=TV.device_id, method="password")
ENDED = e.SignedOut(account_id=ME, sign_in_id=S1, device_id=TV.device_id, reason="replaced")
REMOVED = e.DeviceRemoved(account_id=ME, device_id=TV.device_id)
AFTER_SIGN_OUT = Revoked(LATER + timedelta(seconds=900 + CLOCKS_APART_S))
AFTER_REMOVAL = Revoked(LATER + timedelta(seconds=86_400 + CLOCKS_APART_S))

STEPS: list[tuple[Any, Any, Event, Any]] = [
    (Accounts(), None, e.AccountRegistered(account_id=ME, email=EMAIL), replace(CHANGED, registered_at=LATER)),
    (Accounts(), ACCOUNT, e.EmailChanged(account_id=ME, email=OTHER_EMAIL), replace(CHANGED, email=OTHER_EMAIL)),
    (Accounts(), ACCOUNT, e.PasswordChanged(account_id=ME, method="reset"), CHANGED),
    (Accounts(), ACCOUNT, e.RoleGranted(account_id=ME, role=e.Role.EDITOR), EDITOR),
    (Accounts(), EDITOR, e.RoleGranted(account_id=ME, role=e.Role.EDITOR), EDITOR),
    (
        Accounts(),
        EDITOR,
        e.RoleGranted(account_id=ME, role=e.Role.BILLING),
        replace(CHANGED, roles=("billing", "editor")),
    ),
    (Accounts(), EDITOR, e.RoleRevoked(account_id=ME, role=e.Role.EDITOR), CHANGED),
    (Accounts(), EDITOR, WITHDRAWN, replace(CHANGED, email=None, roles=(), status="withdrawn")),
    (Accounts(), None, WITHDRAWN, None),
    (
        Accounts(),
        replace(ACCOUNT, email=None, status="withdrawn"),
        e.PersonErased(account_id=ME, ground="request", sealed_events=3),
        replace(CHANGED, email=None, status="withdrawn"),
    ),
    (Profiles(), ONE_PROFILE, e.ProfileCreated(account_id=ME, profile=BO), TWO_PROFILES),
    (Profiles(), TWO_PROFILES, e.ProfileCreated(account_id=ME, profile=BO), TWO_PROFILES),
    (
        Profiles(),
        WITH_PIN,
        e.ProfileChanged(account_id=ME, profile=replace(ANNA, avatar="owl")),
        AccountProfiles(ME, (replace(ANNA_ITEM, has_pin=True, avatar="owl"), BO_ITEM)),
    ),
    (
        Profiles(),
        TWO_PROFILES,
        e.PreferencesChanged(account_id=ME, profile_id=ANNA.profile_id, preferences=DUBBED),
        AccountProfiles(ME, (replace(ANNA_ITEM, preferences=DUBBED), BO_ITEM)),
    ),
    (Profiles(), TWO_PROFILES, e.ProfilePinSet(account_id=ME, profile_id=ANNA.profile_id), WITH_PIN),
    (Profiles(), WITH_PIN, e.ProfilePinRemoved(account_id=ME, profile_id=ANNA.profile_id), TWO_PROFILES),
    (Profiles(), TWO_PROFILES, e.ProfileDeleted(account_id=ME, profile_id=BO.profile_id), ONE_PROFILE),
    (Profiles(), ONE_PROFILE, e.ProfileDeleted(account_id=ME, profile_id=ANNA.profile_id), None),
    (Profiles(), TWO_PROFILES, WITHDRAWN, None),
    (Profiles(), None, e.ProfilePinSet(account_id=ME, profile_id=ANNA.profile_id), None),
    (Devices(), ONE_DEVICE, e.DeviceRegistered(account_id=ME, device=PHONE), TWO_DEVICES),
    (Devices(), TWO_DEVICES, e.DeviceRegistered(account_id=ME, device=PHONE), TWO_DEVICES),
    (
        Devices(),
        TWO_DEVICES,
        e.DeviceRenamed(account_id=ME, device_id=TV.device_id, name=EMAIL),
        AccountDevices(ME, (replace(DEN, name=EMAIL), PHONE_ITEM)),
    ),
    (Devices(), ONE_DEVICE, BEGAN, AccountDevices(ME, (replace(DEN, last_signed_in_at=LATER),))),
    (Devices(), ONE_DEVICE, REMOVED, None),
    (Devices(), TWO_DEVICES, WITHDRAWN, None),
    (Devices(), None, BEGAN, None),
    (SignIns(), None, BEGAN, replace(SIGNED_IN, signed_in_at=LATER)),
    (SignIns(), SIGNED_IN, ENDED, replace(SIGNED_IN, ended_at=LATER, end_reason="replaced")),
    (SignIns(), None, ENDED, None),
    (ApiKeys(), None, ISSUED, ISSUED_KEY),
    (ApiKeys(), ISSUED_KEY, e.ApiKeyRevoked(api_key_id=KEY), replace(ISSUED_KEY, revoked_at=LATER)),
    (ApiKeys(), None, e.ApiKeyRevoked(api_key_id=KEY), None),
    (REVOKED, None, ENDED, AFTER_SIGN_OUT),
    (REVOKED, None, REMOVED, AFTER_REMOVAL),
]


@pytest.mark.parametrize(("view", "row", "event", "after"), STEPS)
def test_an_event_makes_of_a_row(view: Any, row: Any, event: Event, after: Any) -> None:
    assert project(view, [later(event, principal="operator-1")], row) == after


@pytest.mark.parametrize("view", [Accounts(), Profiles(), Devices(), SignIns(), ApiKeys(), REVOKED])
def test_every_event_that_a_view_takes_has_a_step(view: Any) -> None:
    assert {type(event) for of, _, event, _ in STEPS if type(of) is type(view)} == set(view.events)


async def test_a_withdrawn_account_leaves_nothing_of_its_owner() -> None:
    accounts = await rows_after(Accounts(), A_LIFE)
    assert accounts == {ME: Account(account_id=ME, email=None, status="withdrawn", registered_at=T0, updated_at=at(19))}
    assert await rows_after(Profiles(), A_LIFE) == await rows_after(Devices(), A_LIFE) == {}


async def test_sign_ins_say_how_they_ended() -> None:
    sign_ins = await rows_after(SignIns(), A_LIFE)
    assert {key: (row.device_id, row.end_reason) for key, row in sign_ins.items()} == {
        "s1": ("tv", "replaced"),
        "s2": ("phone", "password_changed"),
        "s3": ("tv", "device_removed"),
        "s4": ("phone", "withdrawn"),
    }


async def test_whatever_ended_is_revoked_until_the_last_token_has_run_out() -> None:
    rows = await rows_after(REVOKED, A_LIFE)
    assert {shelf.profile_id for shelf in rows} == {"all"}
    assert {shelf.field for shelf in rows} == {
        *(f"sign_in:s{number}" for number in (1, 2, 3, 4)),
        "device:tv",
        "device:phone",
    }
    removed_at: datetime = at(17)
    assert rows[Shelf("all", "device:tv")].until - removed_at == timedelta(seconds=86_400 + CLOCKS_APART_S)
    assert REVOKED.ttl_s == 86_400 + CLOCKS_APART_S
    assert REVOKED.updated_at(AFTER_REMOVAL) == AFTER_REMOVAL.until


async def test_a_device_keeps_its_row_when_its_owner_signs_in_again() -> None:
    history = of_me(sign_in("s1", TV), sign_in("s2", TV, known_as=TV.device_id))
    [row] = (await rows_after(Devices(), history)).values()
    assert [(one.registered_at, one.last_signed_in_at) for one in row.devices] == [(at(1), at(2))]


async def test_a_revoked_api_key_stays() -> None:
    [row] = (await rows_after(ApiKeys(), A_KEY)).values()
    assert (row.name, row.issued_at, row.revoked_at) == ("Dashboard", at(0), at(1))


def test_a_key_is_what_the_row_is_named_by() -> None:
    assert Accounts().key(recorded(later(WITHDRAWN))) == ME
    with pytest.raises(TypeError):
        REVOKED.key(recorded(later(WITHDRAWN)))
