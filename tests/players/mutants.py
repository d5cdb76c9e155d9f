"""Session summaries that are wrong, each as somebody once got it wrong: what the oracle must catch."""

from typing import Any

from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.playback import (
    ClosedEvent,
    Heartbeat,
    PlaybackAdBreakStarted,
    PlaybackBufferingStarted,
    PlaybackPaused,
    PlaybackProgressed,
    PlaybackSeeked,
    Reported,
)
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from tests.players.server import EVERYTHING

Row = PlaybackSession | None


class Mutant(PlaybackSessions):
    """The right view, until something is changed in it."""

    def __init__(self) -> None:
        super().__init__(reorder_window=EVERYTHING)


class Deaf(Mutant):
    """Takes events of some kinds for heartbeats. `to`: those kinds."""

    to: tuple[type[Reported[Any]], ...] = ()

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        event = recorded.data
        if isinstance(event, Reported) and isinstance(event, self.to):
            report = event.report
            beat = Heartbeat(seq=report.seq, at=report.at, position_ms=report.position_ms)
            recorded = replace(recorded, data=PlaybackProgressed(session=event.session, report=beat))
        return super().project(row, recorded)


class WatchesJumps(Deaf):
    """Counts what a seek jumped over as watched."""

    to = (PlaybackSeeked,)


class PlaysThroughPauses(Deaf):
    """Does not know that a pause is one."""

    to = (PlaybackPaused,)


class WatchesAds(Deaf):
    """Counts an ad as the title."""

    to = (PlaybackAdBreakStarted,)


class NeverStalls(Deaf):
    """Does not know that it waits."""

    to = (PlaybackBufferingStarted,)


class CountsDuplicates(Mutant):
    """Counts an event as often as it comes."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        after = super().project(row, recorded)
        if row is None or after is not row or isinstance(recorded.data, ClosedEvent):
            return after
        return replace(row, event_count=row.event_count + 1)


class TrustsTheHighestPlayhead(Mutant):
    """Takes how far the playhead came for what was watched."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        after = super().project(row, recorded)
        if after is None or after is row:
            return after
        farthest_ms = max(after.position_ms, 0 if row is None else row.watched_ms)
        return replace(after, watched_ms=farthest_ms)


class TrustsTheWall(Mutant):
    """Takes the time since the start for the time played."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        after = super().project(row, recorded)
        if after is None or after is row:
            return after
        return replace(after, playing_ms=round((after.last_at - after.started_at).total_seconds() * 1000))


class MeasuresByOurClock(Mutant):
    """Measures between corrected times, which come closer and move apart with every delay of the network."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        event = recorded.data
        if isinstance(event, Reported):
            report: Any = replace(event.report, at=recorded.envelope.time)
            recorded = replace(recorded, data=replace(event, report=report))
        return super().project(row, recorded)


class TakesThemAsTheyCome(Mutant):
    """Folds events in the order that they arrive in."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, dict[int, int]] = {}

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        event = recorded.data
        if isinstance(event, Reported):
            places = self._places.setdefault(event.session.session_id, {})
            report: Any = replace(event.report, seq=places.setdefault(event.report.seq, len(places)))
            recorded = replace(recorded, data=replace(event, report=report))
        return super().project(row, recorded)


class WaitsForWhatIsMissing(Mutant):
    """Shows nothing of what lies behind a hole."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, dict[int, Recorded[Event]]] = {}
        self._next: dict[str, int] = {}

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        event = recorded.data
        if not isinstance(event, Reported):
            return super().project(row, recorded)
        session_id = event.session.session_id
        waiting = self._waiting.setdefault(session_id, {})
        waiting.setdefault(event.report.seq, recorded)
        while (due := waiting.pop(self._next.setdefault(session_id, 0), None)) is not None:
            row = super().project(row, due)
            self._next[session_id] += 1
        return row


class Revives(Mutant):
    """Has a session that was ended from outside go on when something still comes."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        after = super().project(row, recorded)
        if after is None or after is row or after.state not in ("expired", "terminated"):
            return after
        return after if isinstance(recorded.data, ClosedEvent) else replace(after, state="playing")


class ForgetsHowItPlayed(Mutant):
    """Shows the bitrate that was last said, not what it was on average."""

    def project(self, row: Row, recorded: Recorded[Event]) -> Row:
        after = super().project(row, recorded)
        event = recorded.data
        if after is None or after is row or not isinstance(event, Reported) or event.report.bitrate_kbps is None:
            return after
        return replace(after, average_bitrate_kbps=event.report.bitrate_kbps)


MUTANTS: tuple[type[Mutant], ...] = (
    CountsDuplicates,
    TrustsTheHighestPlayhead,
    TrustsTheWall,
    MeasuresByOurClock,
    TakesThemAsTheyCome,
    WaitsForWhatIsMissing,
    Revives,
    ForgetsHowItPlayed,
    WatchesJumps,
    PlaysThroughPauses,
    WatchesAds,
    NeverStalls,
)
