"""From a report's bytes to events."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.refusals import ReportEmpty, ReportInvalid, ReportMalformed, ReportTooLarge
from commands.playback.reports import Limits, Result, Status, Taken, correct, read, read_stop, take
from events import playback
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
def test_no_clock_however_wrong_gets_past_the_bounds(at: datetime, sent_at: datetime) -> None:
    latest, earliest = NOW + LIMITS.future, SESSION.started_at - LIMITS.past
    corrected, adjusted = correct(at, sent_at - NOW, latest, earliest)
    assert earliest <= corrected <= latest
    assert not adjusted or corrected in (earliest, latest)


@pytest.mark.parametrize("skew", [timedelta(hours=24), timedelta(hours=-24), timedelta(days=20_000)])
def test_a_clock_a_day_off_either_way_or_never_set_is_corrected(skew: timedelta) -> None:
    happened = NOW - timedelta(seconds=30)
    report = taken(body(heartbeat(1, at=(happened - skew).isoformat()), sent_at=NOW - skew))
    assert report.results == [Result(Status.OK, 1)]
    recorded = REGISTRY.decode(report.bodies[0])
    assert recorded.envelope.time == happened
    assert isinstance(recorded.data, PlaybackProgressed)
    assert recorded.data.report.at == happened - skew


def test_an_event_long_before_its_session_is_cut_off_and_answered_with_a_warning() -> None:
    report = taken(body(heartbeat(1, at="1970-01-01T00:00:00Z")))
    assert [(result.status, result.problem) for result in report.results] == [(Status.WARNING, "time-before-session")]
    recorded = REGISTRY.decode(report.bodies[0])
    assert recorded.envelope.time == SESSION.started_at - LIMITS.past
    assert isinstance(recorded.data, PlaybackProgressed)
    assert recorded.data.time_adjusted
    assert recorded.data.report.at == datetime(1970, 1, 1, tzinfo=UTC)


def test_an_event_a_little_before_its_session_is_taken_as_it_is() -> None:
    before = SESSION.started_at - timedelta(hours=3)
    report = taken(body(heartbeat(1, at=before.isoformat())))
    assert report.results == [Result(Status.OK, 1)]
    assert REGISTRY.decode(report.bodies[0]).envelope.time == before


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
        (b'{"sent_at": "2026-11-21T20:00:00", "events": [{}]}', ReportInvalid),
        (b'{"sent_at": null, "events": [{}]}', ReportInvalid),
        (body(), ReportEmpty),
        (body(*map(heartbeat, range(6))), ReportTooLarge),
    ],
)
def test_a_report_that_cannot_be_read_is_refused_as_a_whole(report: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read(report, LIMITS)


def test_a_field_that_nobody_knows_is_left_out_and_answered_with_a_warning() -> None:
    report = taken(body(heartbeat(0), heartbeat(1, bitrate=4_500, Rate=1)))
    assert [(result.status, result.problem) for result in report.results] == [
        (Status.OK, None),
        (Status.WARNING, "field-unknown"),
    ]
    reason = report.results[1].reason
    assert reason is not None
    assert reason.startswith("`Rate`, `bitrate`: no such field")
    assert "bitrate_kbps" in reason
    assert b"4500" not in report.bodies[1]


def test_an_unknown_field_does_not_save_an_event_that_lacks_a_known_one() -> None:
    assert only_result(body({"type": "heartbeat", "seq": 3, "postion_ms": 5})).problem == "event-invalid"


def test_the_same_event_twice_in_a_report_is_recorded_once() -> None:
    report = taken(body(heartbeat(1), heartbeat(2), heartbeat(1)))
    assert [result.status for result in report.results] == [Status.OK, Status.OK, Status.DUPLICATE]
    assert [each.seq for each in report.reports] == [1, 2]
    assert len(report.bodies) == 2


def test_two_events_of_one_seq_that_differ_are_one_event_and_a_refusal() -> None:
    report = taken(body(heartbeat(1), heartbeat(1, position_ms=5), {**heartbeat(1), "type": "paused"}))
    assert [(result.status, result.problem) for result in report.results] == [
        (Status.OK, None),
        (Status.REJECTED, "seq-reused"),
        (Status.REJECTED, "seq-reused"),
    ]
    assert len(report.bodies) == 1


def test_an_event_that_was_rejected_does_not_use_its_seq_up() -> None:
    beyond = heartbeat(1, position_ms=SESSION.title.duration_ms + 5_001)
    report = taken(body(beyond, {"type": "heartbeat", "seq": 1}, heartbeat(1)))
    assert [result.status for result in report.results] == [Status.REJECTED, Status.REJECTED, Status.OK]


def test_what_kafka_did_not_take_is_to_be_sent_again_and_the_rest_is_not() -> None:
    report = taken(body(heartbeat(1), {"seq": 9}, heartbeat(2), heartbeat(2), heartbeat(3)))
    report.keep([True, False, True])
    assert [(result.status, result.problem) for result in report.results] == [
        (Status.OK, None),
        (Status.REJECTED, "event-invalid"),
        (Status.RETRY, "not-recorded"),
        (Status.RETRY, "not-recorded"),
        (Status.OK, None),
    ]
    assert [each.seq for each in report.reports] == [1, 3]
    assert len(report.bodies) == 2


def test_what_was_recorded_before_is_a_duplicate_whatever_was_to_be_remarked() -> None:
    report = taken(body(heartbeat(1), {"seq": 9}, heartbeat(2, holographic=True), heartbeat(3)))
    results = report.results_after([1, 2])
    assert [result.status for result in results] == [
        Status.OK,
        Status.REJECTED,
        Status.DUPLICATE,
        Status.DUPLICATE,
    ]


EVERY_TYPE: Final[list[tuple[dict[str, Any], type[Reported[Any]]]]] = [
    ({"type": "started", "startup_ms": 800}, playback.PlaybackFirstFrameShown),
    ({"type": "heartbeat"}, playback.PlaybackProgressed),
    ({"type": "paused"}, playback.PlaybackPaused),
    ({"type": "resumed"}, playback.PlaybackResumed),
    ({"type": "seeked", "from_ms": 7}, playback.PlaybackSeeked),
    ({"type": "buffering_started"}, playback.PlaybackBufferingStarted),
    ({"type": "buffering_ended", "stalled_ms": 900}, playback.PlaybackBufferingEnded),
    ({"type": "bitrate_changed"}, playback.PlaybackBitrateChanged),
    ({"type": "quality_changed"}, playback.PlaybackQualityChanged),
    ({"type": "error", "code": "3016", "fatal": True, "message": "decode"}, playback.PlaybackFailed),
    ({"type": "ad_break_started"}, playback.PlaybackAdBreakStarted),
    ({"type": "ad_break_ended"}, playback.PlaybackAdBreakEnded),
    ({"type": "completed"}, playback.PlaybackCompleted),
    ({"type": "stopped"}, playback.PlaybackStopped),
]
DIMENSIONS: Final[dict[str, Any]] = {
    "rate": 1.25,
    "bitrate_kbps": 4_500,
    "rendition": "1080p",
    "buffer_ms": 24_000,
    "dropped_frames": 3,
    "cdn": "example",
    "cdn_edge": "icn-2",
    "drm": "widevine-l1",
}


@pytest.mark.parametrize(("said", "event"), EVERY_TYPE, ids=lambda each: each["type"] if isinstance(each, dict) else "")
def test_every_type_is_taken_with_all_that_it_says(said: dict[str, Any], event: type[Reported[Any]]) -> None:
    said = heartbeat(4, **said) | DIMENSIONS
    report = taken(body(said))
    assert report.results == [Result(Status.OK, 4)]
    recorded = REGISTRY.decode(report.bodies[0]).data
    assert isinstance(recorded, event)
    assert msgspec.to_builtins(recorded.report) == said | {"at": "2026-11-21T20:00:00Z"}


def test_every_type_is_tried() -> None:
    assert {event for _, event in EVERY_TYPE} == set(EVENT_OF.values())


def test_reports_are_recorded_in_the_order_in_which_they_were_sent_whatever_their_seqs() -> None:
    report = taken(body(heartbeat(5), heartbeat(3), heartbeat(4)))
    assert [result.seq for result in report.results] == [5, 3, 4]
    assert [REGISTRY.decode(each).envelope.id.rpartition(":")[2] for each in report.bodies] == ["5", "3", "4"]


def test_a_stop_is_a_report_of_one_event() -> None:
    stop = json.dumps({"sent_at": NOW.isoformat(), "seq": 9, "at": NOW.isoformat(), "position_ms": 5}).encode()
    report = take(*read_stop(stop), SESSION, FOR, received_at=NOW, limits=LIMITS)
    assert isinstance(REGISTRY.decode(report.bodies[0]).data, PlaybackStopped)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_another_way(noise: bytes) -> None:
    with suppress(ReportMalformed, ReportInvalid, ReportEmpty, ReportTooLarge):
        read(noise, LIMITS)
