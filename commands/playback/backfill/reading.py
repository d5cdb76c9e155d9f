"""From a line of a backfill to an event: pure. Two kinds of line: an importer's, which says whose playback it was, and
a player's, which is a report of the session that its token names.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from commands.playback.recording import recorded
from commands.playback.reports import NUL_ESCAPE, Limits, Result, Status, correct, read_one, take_one
from events.envelope import Context
from events.playback import AnyReport, EntitledBy, PlaybackStarted, SessionSnapshot
from events.types import PositionMs

ID: Final = re.compile(r"[0-9a-zA-Z_-]{1,64}")
TERRITORY: Final = re.compile(r"[A-Z]{2}")
DURATION_MAX_MS: Final = 2**42
NUMBER_MAX: Final = 2**31 - 1
NAME_MAX_CHARS: Final = 500
REASON_MAX_CHARS: Final = 200
NO_SKEW: Final = timedelta()


class Read(NamedTuple):
    """A line read: how it ended, and, when it is to be recorded, the event's key on Kafka and its body."""

    result: Result
    key: str = ""
    body: bytes | None = None


Reader = Callable[[bytes, datetime], Read]
"""Reads a line that was received at a moment."""


class ImportedLine(msgspec.Struct, frozen=True):
    """What an importer says of one event: the session, and either a report of it, or where it was told to start."""

    session: SessionSnapshot
    report: AnyReport | None = None
    start_position_ms: PositionMs | None = None
    territory: str | None = None
    entitled_by: EntitledBy | None = None
    offline: bool = False


_imported = msgspec.json.Decoder(ImportedLine)


class _ReportSeq(msgspec.Struct):
    seq: int | None = None


class _Outline(msgspec.Struct):
    report: _ReportSeq | None = None


_outline = msgspec.json.Decoder(_Outline)


def too_long(limits: Limits) -> Read:
    """A line that holds more than an event may."""
    return _rejected(None, "event-too-large", f"a line may hold {limits.event_max_bytes} bytes")


@dataclass(frozen=True)
class Imported:
    """Reads an importer's lines. Times are taken as they are. `oldest`: how long ago an event may have happened."""

    context: Context
    limits: Limits
    oldest: timedelta

    def __call__(self, content: bytes, received_at: datetime) -> Read:
        """An event, or why there is none."""
        if NUL_ESCAPE in content:
            return _rejected(_seq_of(content), "event-invalid", "a text holds a null character")
        try:
            line = _imported.decode(content)
        except msgspec.ValidationError as error:
            problem = "event-type-unknown" if str(error).endswith("`$.report.type`") else "event-invalid"
            return _rejected(_seq_of(content), problem, str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _rejected(None, "line-malformed", str(error))
        if reason := _unfit(line):
            return _rejected(_seq_of(content), "event-invalid", reason)
        return self._read(without_device_name(line), content, received_at)

    def _read(self, line: ImportedLine, content: bytes, received_at: datetime) -> Read:
        first = line.session.started_at if line.report is None else min(line.session.started_at, line.report.at)
        if first < received_at - self.oldest:
            reason = f"{first.isoformat()} is more than {self.oldest.days} days ago"
            return _rejected(_seq_of(content), "time-too-old", reason)
        return self._start(line, received_at) if line.report is None else self._report(line, line.report, received_at)

    def _report(self, line: ImportedLine, report: AnyReport, received_at: datetime) -> Read:
        result, body = take_one(
            report, line.session, self.context, skew=NO_SKEW, received_at=received_at, limits=self.limits
        )
        return Read(result, line.session.profile_id, body)

    def _start(self, line: ImportedLine, received_at: datetime) -> Read:
        session = line.session
        at, is_adjusted = correct(session.started_at, NO_SKEW, received_at + self.limits.future)
        started = PlaybackStarted(
            session=session,
            start_position_ms=line.start_position_ms or 0,
            territory=line.territory,
            entitled_by=line.entitled_by,
            offline=line.offline,
        )
        body = recorded(started, session, self.context, event_id=session.session_id, at=at, taken_at=received_at)
        if not is_adjusted:
            return Read(Result(Status.OK), session.profile_id, body)
        reason = "the session starts in the future; it was recorded as starting about now"
        return Read(Result(Status.WARNING, None, "time-in-future", reason), session.profile_id, body)


@dataclass(frozen=True)
class Reported:
    """Reads a player's lines: reports of the session that its token names. `skew`: how far its clock is ahead of ours;
    none when it did not say.
    """

    session: SessionSnapshot
    context: Context
    limits: Limits
    skew: timedelta

    def __call__(self, content: bytes, received_at: datetime) -> Read:
        """An event, or why there is none."""
        try:
            report = read_one(content, self.limits)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _rejected(None, "line-malformed", str(error))
        if isinstance(report, Result):
            return Read(_short(report))
        result, body = take_one(
            report, self.session, self.context, skew=self.skew, received_at=received_at, limits=self.limits
        )
        return Read(result, self.session.profile_id, body)


def without_device_name(line: ImportedLine) -> ImportedLine:
    """What a viewer calls a device is personal, and an importer's account may be nobody's here for whom to seal it."""
    if line.session.device.name is None:
        return line
    device = msgspec.structs.replace(line.session.device, name=None)
    return msgspec.structs.replace(line, session=msgspec.structs.replace(line.session, device=device))


def _unfit(line: ImportedLine) -> str | None:
    """What no token would have been signed with: a player's session is made by us, an importer's is theirs."""
    return next(_faults(line), None)


def _faults(line: ImportedLine) -> Iterator[str]:
    session, title = line.session, line.session.title
    if (line.report is None) == (line.start_position_ms is None):
        yield "a line holds either `report` or `start_position_ms`"
    ids = (session.session_id, session.account_id, session.profile_id, title.title_id, session.device.device_id)
    for each in (*ids, *(other for other in (title.series_id, title.next_title_id) if other is not None)):
        if not ID.fullmatch(each):
            yield f"{each[:64]!r} is no id: 1 to 64 letters, digits, _ and -"
    if not 0 <= title.duration_ms <= DURATION_MAX_MS:
        yield f"duration_ms is {title.duration_ms}"
    if title.credits_start_ms is not None and not 0 <= title.credits_start_ms <= title.duration_ms:
        yield f"credits_start_ms is {title.credits_start_ms}, outside the title"
    for number in (title.season_number, title.episode_number):
        if number is not None and not 0 <= number <= NUMBER_MAX:
            yield f"there is no season and no episode {number}"
    if max(len(title.name), len(title.series_name or "")) > NAME_MAX_CHARS:
        yield f"a name may have {NAME_MAX_CHARS} characters"
    if line.territory is not None and not TERRITORY.fullmatch(line.territory):
        yield "territory is no ISO 3166-1 alpha-2 code"


def _seq_of(content: bytes) -> int | None:
    try:
        report = _outline.decode(content).report
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if report is None else report.seq


def _rejected(seq: int | None, problem: str, reason: str) -> Read:
    return Read(Result(Status.REJECTED, seq, problem, reason[:REASON_MAX_CHARS]))


def _short(result: Result) -> Result:
    return msgspec.structs.replace(result, reason=(result.reason or "")[:REASON_MAX_CHARS])
