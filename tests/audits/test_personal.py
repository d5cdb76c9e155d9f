"""What is personal in history: opened by its person's key, or marked in a way that no text can be."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from audits.personal import ERASED, UNKNOWN, UNREADABLE, person_of, said, with_personal
from events.envelope import Envelope, Event, encode
from events.identity import (
    AccountRegistered,
    Device,
    DeviceRegistered,
    PasswordChanged,
    Profile,
    ProfileCreated,
    Role,
    RoleGranted,
)
from events.types import AccountId, DeviceId, ProfileId
from infra.personal_data import MasterKey
from tests.builders import envelope, playback_started, session

ANN = AccountId("ann")
MASTER = MasterKey.alone(b"m" * 32)
KEY, WRAPPED = MASTER.new_person(ANN)


def body(event: Event, **attributes: Any) -> bytes:
    made: Envelope[Event] = envelope(event, subject=f"identity.account-{ANN}", **attributes)
    return encode(made)


def data_of(opened: bytes) -> Any:
    return msgspec.json.decode(opened)["data"]


REGISTERED = body(AccountRegistered(account_id=ANN, email=KEY.seal("ann@example.com")))


@given(st.text(max_size=50), st.text(max_size=50))
def test_what_is_sealed_anywhere_in_an_event_is_opened_and_the_rest_stays(name: str, platform: str) -> None:
    device = Device(device_id=DeviceId("tv"), name=KEY.seal(name), type="tv", platform=platform[:1] or None)
    sealed = body(DeviceRegistered(account_id=ANN, device=device))
    opened = with_personal(sealed, KEY)
    before, after = msgspec.json.decode(sealed), msgspec.json.decode(opened.body)
    assert after["data"]["device"].pop("name") == name
    before["data"]["device"].pop("name")
    assert (after, opened.opened, opened.erased) == (before, 1, 0)


@given(st.text(max_size=50))
def test_what_is_erased_is_marked_by_what_no_text_is(name: str) -> None:
    created = body(ProfileCreated(account_id=ANN, profile=Profile(profile_id=ProfileId("p"), name=KEY.seal(name))))
    shown = data_of(with_personal(created, None).body)["profile"]["name"]
    assert (shown, said(shown)) == (ERASED, "[erased]")
    assert data_of(with_personal(created, KEY).body)["profile"]["name"] == name


def test_a_name_that_says_erased_is_a_name() -> None:
    opened = with_personal(body(AccountRegistered(account_id=ANN, email=KEY.seal("[erased]"))), KEY)
    assert data_of(opened.body)["email"] == "[erased]"
    assert opened.erased == 0


def test_a_value_that_somebody_else_sealed_is_unreadable_and_not_erased() -> None:
    other, _ = MASTER.new_person(ANN)
    for key in (other, UNKNOWN):
        assert data_of(with_personal(REGISTERED, key).body)["email"] == UNREADABLE
    assert said(UNREADABLE) == "[unreadable]"


def test_what_staff_changed_is_opened_before_and_after() -> None:
    change = msgspec.json.encode({"before": {"email": KEY.seal("old@example.com")}, "after": {"roles": ["editor"]}})
    granted = body(RoleGranted(account_id=ANN, role=Role.EDITOR), change=change.decode(), clientaddress="192.0.2.7")
    assert person_of(granted) == ANN
    opened = msgspec.json.decode(with_personal(granted, KEY).body)
    assert msgspec.json.decode(opened["change"])["before"] == {"email": "old@example.com"}
    erased = msgspec.json.decode(with_personal(granted, None).body)
    assert msgspec.json.decode(erased["change"])["before"] == {"email": ERASED}


def test_an_event_without_personal_values_is_nobodys_and_keeps_its_bytes() -> None:
    changed = body(PasswordChanged(account_id=ANN, method="reset"))
    started = encode(playback_started(session()))
    assert [person_of(each) for each in (changed, started, b"", b'{"p1.', b"[]")] == [None] * 5
    assert with_personal(changed, KEY).body == changed


def test_whose_an_event_is_comes_from_its_account() -> None:
    assert person_of(REGISTERED) == ANN
