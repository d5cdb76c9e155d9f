"""From a report's bytes to events: pure. What cannot be taken is answered event by event, with a named problem.

A report that cannot be read as a whole raises; one bad event does not spoil its neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from commands.playback.recording import recorded
from commands.playback.refusals import ReportEmpty, ReportInvalid, ReportMalformed, ReportTooLarge
from events import playback
from events.envelope import Context, Event
from events.playback import EVENT_OF, AnyReport, Report, SessionSnapshot
from events.types import Count, Instant, PositionMs
from infra.settings import Settings

NUL_ESCAPE = rb"\u0000"

_EVENT_OF: dict[type[Report], Callable[..., Event]] = dict(EVENT_OF)  # each takes the report of its own type


class Status(StrEnum):
    """How one event of a report ended. RETRY: not persisted, send it again; REJECTED: never send it again."""

    OK = "ok"
    WARNING = "warning"
    REJECTED = "rejected"
    RETRY = "retry"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event's ending: `problem` names it (docs/problems.md), `reason` says what to do."""

    status: Status
    seq: int | None = None
    problem: str | None = None
    reason: str | None = None


class ReportBody(msgspec.Struct, frozen=True):
    """A report: one POST for one session. `sent_at` is the player's clock when it sent it, fresh on a resend."""

    sent_at: Instant
    events: list[AnyReport]


class StopBody(msgspec.Struct, frozen=True):
    """A stop: its own last event, without a report around it."""

    sent_at: Instant
    seq: Count
    at: Instant
    position_ms: PositionMs


class _Outline(msgspec.Struct, frozen=True):
    sent_at: Instant
    events: list[msgspec.Raw]


_whole = msgspec.json.Decoder(ReportBody)
_outline = msgspec.json.Decoder(_Outline)
_stop = msgspec.json.Decoder(StopBody)
_one: msgspec.json.Decoder[AnyReport] = msgspec.json.Decoder(AnyReport)


class _Seq(msgspec.Struct):
    seq: int | None = None


_seq = msgspec.json.Decoder(_Seq)


@dataclass(frozen=True)
class Limits:
    """What a report may hold. `future`: how far after our clock a corrected time may lie."""

    max_events: int
    event_max_bytes: int
    future: timedelta
    position_slack_ms: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that settings name."""
        return cls(
            settings.report_max_events,
            settings.event_max_bytes,
            timedelta(seconds=settings.clock_skew_future_s),
            settings.position_slack_ms,
        )


@dataclass(frozen=True)
class Taken:
    """A report read: a result for each event, in order, and the bodies to record for those that are not rejected."""

    results: list[Result]
    bodies: list[bytes]


def read(body: bytes, limits: Limits) -> tuple[datetime, list[AnyReport | Result]]:
    """When a report was sent, and its events; a Result stands for one that cannot be read.

    Raises ReportMalformed, ReportInvalid, ReportEmpty, ReportTooLarge.
    """
    if len(body) <= limits.event_max_bytes and NUL_ESCAPE not in body:
        try:
            whole = _whole.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):  # something is bad: find what, below
            pass
        else:
            _check_count(len(whole.events), limits)
            return whole.sent_at, list(whole.events)
    outline = _outline_of(body)
    _check_count(len(outline.events), limits)
    return outline.sent_at, [read_one(bytes(raw), limits) for raw in outline.events]


def read_stop(body: bytes) -> tuple[datetime, list[AnyReport | Result]]:
    """A stop as the report that it is. Raises ReportMalformed, ReportInvalid."""
    try:
        stop = _stop.decode(body)
    except msgspec.ValidationError as error:
        raise ReportInvalid(f"{error}; a stop is {{sent_at, seq, at, position_ms}}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportMalformed(str(error)) from error
    return stop.sent_at, [playback.Stopped(seq=stop.seq, at=stop.at, position_ms=stop.position_ms)]


def take(
    sent_at: datetime,
    events: list[AnyReport | Result],
    session: SessionSnapshot,
    context: Context,
    *,
    received_at: datetime,
    limits: Limits,
) -> Taken:
    """Make the events of what was read, times corrected by how far the player's clock is from ours."""
    skew = sent_at - received_at
    results: list[Result] = []
    bodies: list[bytes] = []
    for report in events:
        if isinstance(report, Result):
            results.append(report)
            continue
        result, body = take_one(report, session, context, skew=skew, received_at=received_at, limits=limits)
        results.append(result)
        if body is not None:
            bodies.append(body)
    return Taken(results, bodies)


def take_one(
    report: AnyReport,
    session: SessionSnapshot,
    context: Context,
    *,
    skew: timedelta,
    received_at: datetime,
    limits: Limits,
) -> tuple[Result, bytes | None]:
    """Make the event of one report: how it ended, and the body to record unless it is rejected."""
    if report.position_ms > session.title.duration_ms + limits.position_slack_ms:
        return _beyond(report, session), None
    at, adjusted = correct(report.at, skew, received_at + limits.future)
    result = _adjusted(report) if adjusted else Result(Status.OK, report.seq)
    return result, _body(report, session, context, at, received_at, adjusted)


def correct(at: datetime, skew: timedelta, latest: datetime) -> tuple[datetime, bool]:
    """A player's time in our clock, and whether it had to be cut off at `latest` (source: domain rules, "Clock
    skew").
    """
    try:
        corrected = at - skew
    except OverflowError:
        return latest, True
    return (latest, True) if corrected > latest else (corrected, False)


def _outline_of(body: bytes) -> _Outline:
    try:
        return _outline.decode(body)
    except msgspec.ValidationError as error:
        raise ReportInvalid(f"{error}; a report is {{sent_at, events: [...]}}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportMalformed(str(error)) from error


def _check_count(count: int, limits: Limits) -> None:
    if count == 0:
        raise ReportEmpty("send at least one event, or nothing")
    if count > limits.max_events:
        raise ReportTooLarge(
            f"{count} events; a report may hold {limits.max_events}: split it",
            members={"max_events": limits.max_events},
        )


def read_one(raw: bytes, limits: Limits) -> AnyReport | Result:
    """One event by itself; a Result when it cannot be read. Raises msgspec.DecodeError for what is no JSON."""
    if len(raw) > limits.event_max_bytes:
        return Result(
            Status.REJECTED, None, "event-too-large", f"{len(raw)} bytes; an event may hold {limits.event_max_bytes}"
        )
    if NUL_ESCAPE in raw:
        return Result(Status.REJECTED, _seq_of(raw), "event-invalid", "a text holds a null character")
    try:
        return _one.decode(raw)
    except msgspec.ValidationError as error:
        problem = "event-type-unknown" if str(error).endswith("`$.type`") else "event-invalid"
        return Result(Status.REJECTED, _seq_of(raw), problem, str(error))


def _seq_of(raw: bytes) -> int | None:
    try:
        return _seq.decode(raw).seq
    except msgspec.DecodeError:
        return None


def _beyond(report: AnyReport, session: SessionSnapshot) -> Result:
    reason = f"position_ms is {report.position_ms} and the title lasts {session.title.duration_ms} ms"
    return Result(Status.REJECTED, report.seq, "position-beyond-duration", reason)


def _adjusted(report: AnyReport) -> Result:
    reason = "the event lies in the future even after correcting your clock; it was recorded as happening about now"
    return Result(Status.WARNING, report.seq, "time-in-future", reason)


def _body(
    report: AnyReport, session: SessionSnapshot, context: Context, at: datetime, now: datetime, adjusted: bool
) -> bytes:
    event = _EVENT_OF[type(report)](session=session, report=report, time_adjusted=adjusted)
    event_id = f"{session.session_id}:{report.seq}"
    return recorded(event, session, context, event_id=event_id, at=at, taken_at=now)
