"""The two ways of looking whether a record fits say the same, and what was asked for in words is what is meant."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.history.asked import DEFAULT_TOPICS, Asked, BadQuestion, unknown_types
from audits.history.matching import expression, matching
from audits.history.moments import moment, zone_of
from events.envelope import encode
from events.identity import ProfilePinSet
from events.registry import REGISTRY
from events.types import AccountId, ProfileId
from infra.archive.columns import Raw, table_of
from infra.archive.records import Attributes, envelope_of
from infra.settings import Settings
from tests import builders

NAMES = ("a", "b", "a.b", "ab", "identity.account-a", "catalog.title-b")
ids = st.sampled_from(NAMES)
some = st.lists(ids, max_size=2).map(tuple)
types = st.sampled_from(
    ["playback.*", "*.PlaybackStarted.*", "identity.ProfilePinSet", "identity.Pro*Set.v1", "*", "a.b"]
)


def value_of(name: str, stream: str, actor: str | None) -> bytes:
    """An event of a profile, or of a session and its title."""
    if stream.startswith("identity"):
        event: Any = ProfilePinSet(account_id=AccountId(name), profile_id=ProfileId(f"{name}"))
        return encode(builders.envelope(event, id=name, subject=stream, principal=actor, causationid=stream))
    of = builders.session(name, account_id=AccountId(name), profile_id=ProfileId(name), title=builders.movie(name))
    return encode(builders.envelope(builders.playback_started(of).data, id=name, subject=stream, principal=actor))


values = st.one_of(st.builds(value_of, ids, ids, st.none() | ids), st.sampled_from([b"", b"{", None]))
asked = st.builds(
    Asked,
    streams=some,
    accounts=some,
    profiles=some,
    sessions=some,
    titles=some,
    actors=some,
    types=st.lists(types, max_size=2).map(tuple),
    correlation_id=st.none() | ids,
    event_ids=some,
    causation_ids=some,
)


@given(asked, st.lists(st.tuples(values, ids), min_size=1, max_size=12))
def test_a_record_fits_by_its_columns_as_it_fits_by_its_envelope(
    asked: Asked, records: list[tuple[bytes, str]]
) -> None:
    keys: list[bytes | None] = [key.encode() for _, key in records]
    count = len(records)
    raw = Raw(
        topic="t",
        partition=0,
        offsets=[*range(count)],
        timestamps_ms=[0] * count,
        keys=keys,
        values=[value for value, _ in records],
        positions=[None] * count,
        headers=[None] * count,
    )
    test, where = matching(asked), expression(asked)
    table = table_of(raw, None)
    found = table if where is None else table.filter(where)
    fitting = [place for place in range(count) if test is None or test(envelope_of(raw.values[place]), keys[place])]
    assert found.column("offset").to_pylist() == fitting
    assert (test is None) == asked.is_of_everything()


def test_every_event_of_a_profile_names_its_account() -> None:
    """So that a person is found by the account alone."""
    for name, event_class in REGISTRY.classes.items():
        fields = set(event_class.__struct_fields__)
        assert not {"profile_id", "profile"} & fields or "account_id" in fields, name
    assert envelope_of(value_of("a", "s", None)).account_id == "a"


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("playback.*", "playback.PlaybackStarted.v1", "xplayback.PlaybackStarted.v1"),
        ("playback.PlaybackStarted", "playback.PlaybackStarted.v2", "playback.PlaybackStartedLate.v1"),
        ("playback.PlaybackStarted.v1", "playback.PlaybackStarted.v1", "playback.PlaybackStarted.v12"),
        ("*.Payment*", "subscription.PaymentFailed.v1", "subscription.RefundIssued.v1"),
    ],
)
def test_a_type_fits_a_pattern(pattern: str, fits: str, fails: str) -> None:
    test = matching(Asked(types=(pattern,)))
    assert test is not None
    assert test(Attributes(type=fits), None)
    assert not test(Attributes(type=fails), None)


def test_a_mistyped_type_is_named() -> None:
    assert unknown_types(["playback.*", "playbck.*", "identity.ProfilePinSet"]) == ["playbck.*"]


def test_only_topics_that_can_hold_what_is_asked_for_are_read() -> None:
    assert Asked().topics_to_read() == DEFAULT_TOPICS
    assert Asked(types=("catalog.*",)).topics_to_read() == ("catalog.events",)
    assert "playback.events.dlq" in Asked(types=("operations.RecordDeadLettered",)).topics_to_read()
    assert Asked(types=("*Started*",)).topics_to_read() == DEFAULT_TOPICS
    assert Asked(types=("playback.*",), topics=("playback.backfill",)).topics_to_read() == ("playback.backfill",)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(topics=("nowhere",)),
        Asked(streams=("",)),
        Asked(event_ids=tuple(map(str, range(1_001)))),
        Asked(since=builders.EVENING, until=builders.EVENING),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: Asked) -> None:
    with pytest.raises(BadQuestion):
        asked.checked(Settings())


def test_a_date_begins_in_its_zone() -> None:
    seoul = zone_of("Asia/Seoul")
    assert moment("2026-11-21", seoul).isoformat() == "2026-11-20T15:00:00+00:00"
    assert moment("2026-11-21T21:04:00+09:00", zone_of("UTC")).isoformat() == "2026-11-21T12:04:00+00:00"
    assert moment("2026-11-21T12:04:00Z", seoul) == moment("2026-11-21T21:04:00+09:00", seoul)


@pytest.mark.parametrize("text", ["2026-11-21T21:04:00", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_nobody_can_tell_is_refused(text: str) -> None:
    with pytest.raises(BadQuestion):
        moment(text, zone_of("UTC"))


def test_a_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadQuestion, match="IANA"):
        zone_of("../etc/passwd")


def test_arrow_tells_nulls_from_what_does_not_fit() -> None:
    """What the filters rely on: null is in no list, and what is neither true nor false is passed over."""
    table = pa.table({"id": pa.array([None, "a"]), "key": pa.array([b"k", b"k"])})
    assert table.filter(pa.compute.field("id").isin(["a"])).num_rows == 1
