"""From a report's bytes to events: pure. What cannot be taken is answered event by event, with a named problem.

A report that cannot be read as a whole raises; one bad event does not spoil its neighbours.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Union, get_args

import msgspec

from commands.playback.recording import recorded
from commands.playback.refusals import ReportEmpty, ReportInvalid, ReportMalformed, ReportTooLarge
from events import playback
from events.envelope import Context, Event
from events.playback import EVENT_OF, AnyReport, Report, SessionSnapshot
from events.types import Count, Instant, PositionMs
from infra.settings import Settings

NUL_ESCAPE = rb"\u0000"
FIELDS_SHOWN: Final = 5
FIELD_SHOWN_CHARS: Final = 40
FIRST: Final = datetime.min.replace(tzinfo=UTC)

_EVENT_OF: dict[type[Report], Callable[..., Event]] = dict(EVENT_OF)  # each takes the report of its own type


class Status(StrEnum):
    """How one event of a report ended. DUPLICATE: Kafka had it before, all is well; WARNING: recorded, with a remark;
    RETRY: not persisted, send it again; REJECTED: never send it again.
    """

    OK = "ok"
    DUPLICATE = "duplicate"
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


def _strict(report: type[Report]) -> type[Report]:
    """A report that has no other fields than its own: a misspelt one is noticed on the way in, at no cost."""
    strict = msgspec.defstruct(report.__name__, [], bases=(report,), frozen=True, forbid_unknown_fields=True)
    assert issubclass(strict, Report)
    return strict


_STRICT: Final = {_strict(report): _EVENT_OF[report] for report in get_args(AnyReport)}
_EVENT_OF.update(_STRICT)


def _strict_body() -> type[ReportBody]:
    body = msgspec.defstruct("StrictReport", [("events", list[_any_strict])], bases=(ReportBody,), frozen=True)
    assert issubclass(body, ReportBody)
    return body


_any_strict: Any = Union[tuple(_STRICT)]  # noqa: UP007  # made while it runs
_whole = msgspec.json.Decoder(_strict_body())
_strict_one: msgspec.json.Decoder[AnyReport] = msgspec.json.Decoder(_any_strict)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_outline = msgspec.json.Decoder(_Outline)
_stop = msgspec.json.Decoder(StopBody)
_one: msgspec.json.Decoder[AnyReport] = msgspec.json.Decoder(AnyReport)


class _Seq(msgspec.Struct):
    seq: int | None = None


_seq = msgspec.json.Decoder(_Seq)


@dataclass(frozen=True)
class Limits:
    """What a report may hold. `future`: how far after our clock a corrected time may lie; `past`: how far before its
    session's start.
    """

    max_events: int
    event_max_bytes: int
    future: timedelta
    position_slack_ms: int
    past: timedelta = timedelta(days=1)

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that settings name."""
        return cls(
            settings.report_max_events,
            settings.event_max_bytes,
            timedelta(seconds=settings.clock_skew_future_s),
            settings.position_slack_ms,
            timedelta(seconds=settings.clock_skew_past_s),
        )


class Remarked(msgspec.Struct, frozen=True):
    """An event that can be read, and what is to be said of it."""

    report: AnyReport
    remark: Result


Read = AnyReport | Remarked | Result
"""An event of a report: a Result stands for one that cannot be read."""


@dataclass
class Taken:
    """A report read: a result for each event, in order; the reports that are not rejected and the bodies to record for
    them, number for number; and in `places`, which result is theirs. `is_partial`: some are to be sent again.
    """

    results: list[Result] = field(default_factory=list)
    reports: list[AnyReport] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    is_partial: bool = False

    def keep(self, acknowledged: Sequence[bool]) -> None:
        """Kafka took only these, by number: the others are to be sent again, and what repeats them too."""
        missing = {report.seq for report, is_taken in zip(self.reports, acknowledged, strict=True) if not is_taken}
        for place, result in enumerate(self.results):
            if result.seq in missing and result.status is not Status.REJECTED:
                self.results[place] = Result(Status.RETRY, result.seq, "not-recorded", "Kafka did not take it in time")
        self.is_partial = True
        kept = [number for number, is_taken in enumerate(acknowledged) if is_taken]
        self.reports = [self.reports[number] for number in kept]
        self.bodies = [self.bodies[number] for number in kept]
        self.places = [self.places[number] for number in kept]

    def results_after(self, before: Iterable[int]) -> list[Result]:
        """The results when Kafka had some of the reports, by number, before."""
        for number in before:
            self.results[self.places[number]] = Result(Status.DUPLICATE, self.reports[number].seq)
        return self.results


def read(body: bytes, limits: Limits) -> tuple[datetime, list[Read]]:
    """When a report was sent, and its events.

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
    return outline.sent_at, [_read_remarking(bytes(raw), limits) for raw in outline.events]


def read_stop(body: bytes) -> tuple[datetime, list[Read]]:
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
    events: Iterable[Read],
    session: SessionSnapshot,
    context: Context,
    *,
    received_at: datetime,
    limits: Limits,
) -> Taken:
    """Make the events of what was read, times corrected by how far the player's clock is from ours. Of several with one
    seq the first is taken.
    """
    taking = _Taking(session, context, sent_at - received_at, received_at, limits)
    taken = Taken()
    first: dict[int, AnyReport] = {}
    for each in events:
        report, remark = (each.report, each.remark) if isinstance(each, Remarked) else (each, None)
        if isinstance(report, Result):
            result, body = report, None
        elif report.seq in first:
            result, body = _repeated(report, first[report.seq]), None
        else:
            result, body = taking.take(report)
        if body is not None and not isinstance(report, Result):
            first[report.seq] = report
            taken.places.append(len(taken.results))
            taken.reports.append(report)
            taken.bodies.append(body)
        taken.results.append(remark if remark is not None and result.status is Status.OK else result)
    return taken


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
    return _Taking(session, context, skew, received_at, limits).take(report)


class _Taking:
    """Makes the events of one report's session, as of one moment."""

    __slots__ = ("_context", "_earliest", "_last_ms", "_latest", "_received_at", "_session", "_skew")

    def __init__(
        self, session: SessionSnapshot, context: Context, skew: timedelta, received_at: datetime, limits: Limits
    ) -> None:
        self._session = session
        self._context = context
        self._skew = skew
        self._received_at = received_at
        self._last_ms = session.title.duration_ms + limits.position_slack_ms
        self._latest = received_at + limits.future
        self._earliest = session.started_at - limits.past

    def take(self, report: AnyReport) -> tuple[Result, bytes | None]:
        """As take_one()."""
        if report.position_ms > self._last_ms:
            return _beyond(report, self._session), None
        at, adjusted = correct(report.at, self._skew, self._latest, self._earliest)
        result = _adjusted(report, is_future=at == self._latest) if adjusted else Result(Status.OK, report.seq)
        event = _EVENT_OF[type(report)](session=self._session, report=report, time_adjusted=adjusted)
        event_id = f"{self._session.session_id}:{report.seq}"
        return result, recorded(
            event, self._session, self._context, event_id=event_id, at=at, taken_at=self._received_at
        )


def correct(at: datetime, skew: timedelta, latest: datetime, earliest: datetime = FIRST) -> tuple[datetime, bool]:
    """A player's time in our clock, and whether it had to be cut off at `latest` or `earliest` (source: domain rules,
    "Clock skew").
    """
    try:
        corrected = at - skew
    except OverflowError:
        return (earliest if skew > timedelta() else latest), True
    if corrected > latest:
        return latest, True
    return (earliest, True) if corrected < earliest else (corrected, False)


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
    return _read_by(_one, raw, limits)


def _read_by(decoder: "msgspec.json.Decoder[AnyReport]", raw: bytes, limits: Limits) -> AnyReport | Result:
    if len(raw) > limits.event_max_bytes:
        return Result(
            Status.REJECTED, None, "event-too-large", f"{len(raw)} bytes; an event may hold {limits.event_max_bytes}"
        )
    if NUL_ESCAPE in raw:
        return Result(Status.REJECTED, _seq_of(raw), "event-invalid", "a text holds a null character")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        problem = "event-type-unknown" if str(error).endswith("`$.type`") else "event-invalid"
        return Result(Status.REJECTED, _seq_of(raw), problem, str(error))


def _read_remarking(raw: bytes, limits: Limits) -> Read:
    """One event by itself, and a remark when it has fields that nobody knows."""
    report = _read_by(_strict_one, raw, limits)
    if not isinstance(report, Result) or report.problem != "event-invalid":
        return report
    report = read_one(raw, limits)
    return report if isinstance(report, Result) else Remarked(report, _unknown(raw, report))


def _unknown(raw: bytes, report: AnyReport) -> Result:
    known = (*type(report).__struct_fields__, "type")
    unknown = sorted(set(_fields.decode(raw)).difference(known))
    named = ", ".join(f"`{name[:FIELD_SHOWN_CHARS]}`" for name in unknown[:FIELDS_SHOWN])
    reason = f"{named}: no such field, recorded without; there are {', '.join(sorted(known))}"
    return Result(Status.WARNING, report.seq, "field-unknown", reason)


def _repeated(report: AnyReport, first: AnyReport) -> Result:
    if msgspec.to_builtins(report) == msgspec.to_builtins(first):  # whichever way each was read
        return Result(Status.DUPLICATE, report.seq)
    reason = "an event before it in this report has this seq and says something else; that one was taken"
    return Result(Status.REJECTED, report.seq, "seq-reused", reason)


def _seq_of(raw: bytes) -> int | None:
    try:
        return _seq.decode(raw).seq
    except msgspec.DecodeError:
        return None


def _beyond(report: AnyReport, session: SessionSnapshot) -> Result:
    reason = f"position_ms is {report.position_ms} and the title lasts {session.title.duration_ms} ms"
    return Result(Status.REJECTED, report.seq, "position-beyond-duration", reason)


def _adjusted(report: AnyReport, *, is_future: bool) -> Result:
    if is_future:
        reason = "the event lies in the future even after correcting your clock; it was recorded as happening about now"
        return Result(Status.WARNING, report.seq, "time-in-future", reason)
    reason = "the event lies long before its session; it was recorded as early as may be"
    return Result(Status.WARNING, report.seq, "time-before-session", reason)
