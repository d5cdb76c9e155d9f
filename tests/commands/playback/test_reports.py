"""From a report's bytes to events."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.refusals import ReportEmpty, ReportInvalid, ReportMalformed, ReportTooLarge
from commands.playback.reports import Limits, Result, Status, Taken, correct, read, read_stop, take
from events.envelope import Context
from events.playback import EVENT_OF, Heartbeat, PlaybackProgressed, PlaybackStopped, Reported
from events.registry import REGISTRY
from tests.builders import session

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
LIMITS = Limits(max_events=5, event_max_bytes=1_000, future=timedelta(minutes=5), position_slack_ms=5_000)
SESSION = session()
FOR = Context(correlation_id="correlation-1", principal="profile-1")


def heartbeat(seq: int = 0, **changes: Any) -> dict[str, Any]:
    return {"type": "heartbeat", "seq": seq, "at": NOW.isoformat(), "position_ms": 1_000 * seq, **changes}


def body(*events: dict[str, Any], sent_at: datetime = NOW) -> bytes:
    return json.dumps({"sent_at": sent_at.isoformat(), "events": events}).encode()


def taken(report: bytes) -> Taken:
    return take(*read(report, LIMITS), SESSION, FOR, received_at=NOW, limits=LIMITS)


def only_result(report: bytes) -> Result:
    [result] = taken(report).results
    return result


def test_every_event_of_a_report_becomes_its_own_record_with_the_session_in_it() -> None:
    report = taken(body(heartbeat(0), {**heartbeat(1), "type": "paused"}))
    assert [result.status for result in report.results] == [Status.OK, Status.OK]
    recorded = [REGISTRY.decode(record) for record in report.bodies]
    assert [event.envelope.type for event in recorded] == [
        "playback.PlaybackProgressed.v1",
        "playback.PlaybackPaused.v1",
    ]
    assert all(isinstance(event.data, Reported) and event.data.session == SESSION for event in recorded)
    assert recorded[0].envelope.partitionkey == SESSION.profile_id
    assert recorded[0].envelope.correlationid == "correlation-1"


def test_a_resend_has_the_same_id() -> None:
    first, again = taken(body(heartbeat(7))), taken(body(heartbeat(7), sent_at=NOW + timedelta(seconds=9)))
    assert REGISTRY.decode(first.bodies[0]).envelope.id == REGISTRY.decode(again.bodies[0]).envelope.id


def test_every_report_type_has_its_event() -> None:
    assert EVENT_OF[Heartbeat] is PlaybackProgressed
    assert len(EVENT_OF) == 14


def test_a_clock_that_is_wrong_is_corrected_and_its_own_time_kept() -> None:
    wrong = timedelta(minutes=17)
    report = taken(body(heartbeat(1, at=(NOW + wrong).isoformat()), sent_at=NOW + wrong))
    recorded = REGISTRY.decode(report.bodies[0])
    assert recorded.envelope.time == NOW
    assert isinstance(recorded.data, PlaybackProgressed)
    assert recorded.data.report.at == NOW + wrong
    assert not recorded.data.time_adjusted


def test_a_time_in_the_far_future_is_cut_off_and_answered_with_a_warning() -> None:
    report = taken(body(heartbeat(1, at="2031-01-01T00:00:00Z")))
    assert report.results == [Result(Status.WARNING, 1, "time-in-future", report.results[0].reason)]
    recorded = REGISTRY.decode(report.bodies[0])
    assert recorded.envelope.time == NOW + LIMITS.future
    assert isinstance(recorded.data, PlaybackProgressed)
    assert recorded.data.time_adjusted


@given(
    at=st.datetimes(timezones=st.just(UTC)),
    sent_at=st.datetimes(timezones=st.just(UTC)),
)
def test_no_clock_however_wrong_gets_past_the_bound(at: datetime, sent_at: datetime) -> None:
    corrected, adjusted = correct(at, sent_at - NOW, NOW + LIMITS.future)
    assert corrected <= NOW + LIMITS.future
    assert not adjusted or corrected == NOW + LIMITS.future


def test_a_position_beyond_the_duration_is_rejected_and_its_neighbours_are_taken() -> None:
    report = taken(body(heartbeat(0), heartbeat(1, position_ms=SESSION.title.duration_ms + 5_001), heartbeat(2)))
    assert [(r.status, r.problem) for r in report.results] == [
        (Status.OK, None),
        (Status.REJECTED, "position-beyond-duration"),
        (Status.OK, None),
    ]
    assert len(report.bodies) == 2


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({**heartbeat(3), "type": "levitated"}, "event-type-unknown"),
        ({"seq": 3}, "event-invalid"),
        ({**heartbeat(3), "position_ms": "far"}, "event-invalid"),
        ({**heartbeat(3), "position_ms": -1}, "event-invalid"),
        ({**heartbeat(3), "at": "2026-11-21T20:00:00"}, "event-invalid"),
        ({**heartbeat(3), "type": "error", "code": "nul \x00 inside"}, "event-invalid"),
        ({**heartbeat(3), "type": "error", "code": "x", "message": "y" * 1_000}, "event-too-large"),
    ],
)
def test_an_event_that_cannot_be_taken_is_rejected_by_name(event: dict[str, Any], problem: str) -> None:
    result = only_result(body(event))
    assert (result.status, result.problem) == (Status.REJECTED, problem)
    assert result.reason
    assert result.seq == (None if problem == "event-too-large" else 3)


@pytest.mark.parametrize(
    ("report", "refusal"),
    [
        (b"", ReportMalformed),
        (b'{"sent_at": ', ReportMalformed),
        (b"\xff\xfe", ReportMalformed),
        (b"[]", ReportInvalid),
        (b'{"events": []}', ReportInvalid),
        (b'{"sent_at": "yesterday", "events": [{}]}', ReportInvalid),
        (body(), ReportEmpty),
        (body(*map(heartbeat, range(6))), ReportTooLarge),
    ],
)
def test_a_report_that_cannot_be_read_is_refused_as_a_whole(report: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read(report, LIMITS)


def test_a_field_that_we_do_not_know_is_let_through() -> None:
    assert only_result(body(heartbeat(1, holographic=True))).status is Status.OK


def test_a_stop_is_a_report_of_one_event() -> None:
    stop = json.dumps({"sent_at": NOW.isoformat(), "seq": 9, "at": NOW.isoformat(), "position_ms": 5}).encode()
    report = take(*read_stop(stop), SESSION, FOR, received_at=NOW, limits=LIMITS)
    assert isinstance(REGISTRY.decode(report.bodies[0]).data, PlaybackStopped)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_another_way(noise: bytes) -> None:
    with suppress(ReportMalformed, ReportInvalid, ReportEmpty, ReportTooLarge):
        read(noise, LIMITS)
