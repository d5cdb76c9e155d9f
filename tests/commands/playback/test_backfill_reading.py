"""A line of a backfill as an event, or why there is none: commands/playback/backfill/reading.py."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from commands.playback.backfill.reading import NO_SKEW, Imported, Read, Reported
from commands.playback.reports import Limits, Status
from events.envelope import Context, Recorded
from events.playback import PlaybackProgressed, PlaybackStarted, SessionSnapshot
from events.registry import REGISTRY
from infra.settings import Settings
from tests.builders import EVENING, device, report, session

CONTEXT = Context(correlation_id="backfill-1", principal="importer")
LIMITS = Limits.of(Settings())
NOW = EVENING + timedelta(days=400)
OLDEST = timedelta(days=1000)
IMPORTED = Imported(CONTEXT, LIMITS, OLDEST)
UNNAMED = session(device=device(name=None))
"""What a viewer calls their device is not imported."""


def line(of: SessionSnapshot | None = None, /, **members: Any) -> bytes:
    return msgspec.json.encode({"session": of or session(), **members})


def recorded(read: Read) -> Recorded[Any]:
    assert read.body is not None
    return REGISTRY.decode(read.body)


def test_an_imported_report_is_recorded_as_a_live_one_would_be() -> None:
    read = IMPORTED(line(report=report(seq=7)), NOW)
    event = recorded(read)
    assert (read.result.status, read.result.seq, read.key) == (Status.OK, 7, "profile-1")
    assert event.data == PlaybackProgressed(session=UNNAMED, report=report(seq=7))
    assert event.envelope.id == "session-1:7"
    assert event.envelope.recordedtime == NOW
    assert event.envelope.principal == "importer"


def test_an_importers_times_are_taken_as_they_are() -> None:
    read = IMPORTED(line(report=report(seq=7, at=EVENING + timedelta(days=3))), NOW)
    assert recorded(read).envelope.time == EVENING + timedelta(days=3)


def test_an_imported_start_has_the_id_of_its_session() -> None:
    read = IMPORTED(line(start_position_ms=5_000, territory="KR", entitled_by="subscription", offline=True), NOW)
    event = recorded(read)
    assert event.envelope.id == "session-1"
    assert event.envelope.time == EVENING
    assert event.data == PlaybackStarted(
        session=UNNAMED, start_position_ms=5_000, territory="KR", entitled_by="subscription", offline=True
    )


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), timedelta(days=3_000)])
def test_what_lies_in_the_future_is_recorded_as_happening_about_now_and_told(ahead: timedelta) -> None:
    late = session(started_at=NOW + ahead)
    for read in (IMPORTED(line(report=report(at=NOW + ahead)), NOW), IMPORTED(line(late, start_position_ms=0), NOW)):
        assert (read.result.status, read.result.problem) == (Status.WARNING, "time-in-future")
        assert recorded(read).envelope.time == NOW + LIMITS.future


def test_what_happened_longer_ago_than_is_taken_is_refused() -> None:
    for content in (
        line(report=report(seq=1, at=datetime.fromisoformat("1970-01-01T00:00:00Z"))),
        line(session(started_at=NOW - OLDEST - timedelta(seconds=1)), report=report(seq=1)),
        line(session(started_at=NOW - OLDEST - timedelta(seconds=1)), start_position_ms=0),
    ):
        read = IMPORTED(content, NOW)
        assert (read.result.status, read.result.problem, read.body) == (Status.REJECTED, "time-too-old", None)


UNFIT = [
    (session(session_id="a:1"), "no id"),
    (session(session_id=""), "no id"),
    (session(profile_id="x" * 65), "no id"),
    (session(account_id="a b"), "no id"),
    (session(title=msgspec.structs.replace(session().title, title_id="t/1")), "no id"),
    (session(title=msgspec.structs.replace(session().title, series_id="*")), "no id"),
    (session(title=msgspec.structs.replace(session().title, duration_ms=-1)), "duration_ms"),
    (session(title=msgspec.structs.replace(session().title, duration_ms=2**43)), "duration_ms"),
    (session(title=msgspec.structs.replace(session().title, credits_start_ms=10**9)), "credits_start_ms"),
    (session(title=msgspec.structs.replace(session().title, season_number=-1)), "no season"),
    (session(title=msgspec.structs.replace(session().title, name="n" * 501)), "name"),
]


@pytest.mark.parametrize(("unfit", "why"), UNFIT)
def test_a_session_that_we_would_never_grant_is_refused(unfit: SessionSnapshot, why: str) -> None:
    read = IMPORTED(line(unfit, report=report(seq=3, position_ms=0)), NOW)
    assert (read.result.status, read.result.seq, read.result.problem) == (Status.REJECTED, 3, "event-invalid")
    assert why in (read.result.reason or "")


BAD = [
    (b"{not json", "line-malformed"),
    (b'{"session": "\xff"}', "event-invalid"),
    (b"[]", "event-invalid"),
    (b"{}", "event-invalid"),
    (line(), "event-invalid"),
    (line(report=report(), start_position_ms=0), "event-invalid"),
    (line(start_position_ms=-1), "event-invalid"),
    (line(start_position_ms=0, territory="kr"), "event-invalid"),
    (line(report={"type": "danced", "seq": 1, "at": EVENING, "position_ms": 0}), "event-type-unknown"),
    (line(report={"type": "heartbeat", "seq": -1, "at": EVENING, "position_ms": 0}), "event-invalid"),
    (line(report={"type": "heartbeat", "seq": 1, "at": "2026-01-01T00:00:00", "position_ms": 0}), "event-invalid"),
    (line(session(), report=report(position_ms=10**9)), "position-beyond-duration"),
    (line(report={"type": "error", "seq": 1, "at": EVENING, "position_ms": 0, "code": "\0"}), "event-invalid"),
]


@pytest.mark.parametrize(("content", "problem"), BAD)
def test_a_bad_line_is_named_and_not_recorded(content: bytes, problem: str) -> None:
    read = IMPORTED(content, NOW)
    assert (read.result.status, read.result.problem, read.body) == (Status.REJECTED, problem, None)
    assert read.result.reason


def test_a_reason_is_short_whatever_the_line_holds() -> None:
    read = IMPORTED(line(session(session_id="x" * 30_000), report=report()), NOW)
    assert len(read.result.reason or "") <= 200


def late(skew: timedelta = NO_SKEW) -> Reported:
    return Reported(session(), CONTEXT, LIMITS, skew)


def test_a_players_line_is_a_report_of_the_session_that_its_token_names() -> None:
    read = late()(msgspec.json.encode(report(seq=4)), NOW)
    event = recorded(read)
    assert event.data == PlaybackProgressed(session=session(), report=report(seq=4))
    assert (event.envelope.id, event.envelope.time, read.key) == ("session-1:4", report(seq=4).at, "profile-1")


def test_a_player_that_says_when_it_sends_is_corrected_and_what_it_said_is_kept() -> None:
    event = recorded(late(timedelta(hours=-9))(msgspec.json.encode(report(seq=4)), NOW))
    assert event.envelope.time == report(seq=4).at + timedelta(hours=9)
    assert event.data.report.at == report(seq=4).at


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "line-malformed"),
        (b'{"type":"danced","seq":1}', "event-type-unknown"),
        (b'{"type":"heartbeat","seq":1}', "event-invalid"),
        (msgspec.json.encode(report(seq=1, position_ms=10**9)), "position-beyond-duration"),
    ],
)
def test_a_players_bad_line_is_named(content: bytes, problem: str) -> None:
    assert late()(content, NOW).result.problem == problem
