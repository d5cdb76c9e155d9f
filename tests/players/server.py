"""The server in one process: what takes reports, a partition that keeps their bytes, and the engine over its views."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any, Final

from commands.playback.recording import recorded
from commands.playback.reports import Limits, Status, read, take
from events.envelope import Context, Event
from events.playback import PlaybackSessionExpired, PlaybackSessionTerminated, PlaybackStarted, TerminatedBy
from infra.settings import Settings
from projections.engine import Engine
from projections.playback.completion import Thresholds
from projections.playback.continue_watching import ContinueWatching
from projections.playback.watch_history import WatchHistory
from projections.slabs import Checkpoint
from projections.stores.memory import AnyView, MemoryStore
from tests.players.network import Parcel
from tests.players.player import Sitting
from tests.projections.folds import PLAYBACK_0, FakeLetters, FakeRecord, slab

SETTINGS: Final = Settings()
LIMITS: Final = Limits.of(SETTINGS)
FOR: Final = Context(correlation_id="players", principal="profile-1")
THRESHOLDS: Final = Thresholds()
EVERYTHING: Final = 10_000
"""More than an evening's session has events, so that no hole is given up."""


@dataclass
class Heard:
    """What the server has heard of a session, whose holes `window` events wait for at most.

    `known`: by seq, as they came, when each event happened, corrected; of one that came twice the first. `times`: the
    same of all. `closings`: how and when it was ended from outside, and `ended_before` whether its player had told its
    own end by then.
    """

    sitting: Sitting
    known: dict[int, datetime] = field(default_factory=dict)
    times: dict[int, set[datetime]] = field(default_factory=dict)
    closings: dict[str, datetime] = field(default_factory=dict)
    ended_before: bool = False
    window: int = EVERYTHING

    def measured(self) -> list[int]:
        """The seqs that count for its measures: a hole that more than `window` events wait for is given up, and what
        comes for it is only history (docs/measures.md)."""
        next_seq, waiting, counted = 0, list[int](), list[int]()
        for seq in self.known:  # in the order that they came in
            if seq < next_seq:
                continue
            heappush(waiting, seq)
            while waiting and (waiting[0] == next_seq or len(waiting) > self.window):
                next_seq = waiting[0] + 1
                counted.append(heappop(waiting))
        return sorted(counted + waiting)


class Server:
    """Takes what arrives at once, and projects what it took when it is told to."""

    def __init__(self, sessions: AnyView, window: int = EVERYTHING) -> None:
        """`sessions`: the view of summaries, and how many events of a session it has wait for a hole."""
        self._window = window
        self.heard: dict[str, Heard] = {}
        self.log: list[bytes] = []
        self.store = MemoryStore()
        self.letters = FakeLetters()
        self._applied = 0
        self._sessions = sessions
        continue_watching = ContinueWatching(THRESHOLDS, most_rows=100, ttl_s=10**6)
        views: list[AnyView] = [sessions, continue_watching, WatchHistory(THRESHOLDS)]
        self._engine = Engine[AnyView](self.store, views, self.letters)
        self.store.held[PLAYBACK_0] = Checkpoint(0, -1)

    def start(self, sitting: Sitting, from_ms: int) -> None:
        """Grant a session."""
        at = sitting.session.started_at
        self.heard[sitting.session.session_id] = Heard(sitting, window=self._window)
        started = PlaybackStarted(session=sitting.session, start_position_ms=from_ms)
        self._record(sitting, started, sitting.session.session_id, at)

    def arrive(self, parcel: Parcel, now_ms: int) -> set[int]:
        """A report arrives; the seqs that it acknowledges."""
        sitting, received_at = parcel.sitting, parcel.sitting.when(now_ms)
        sent_at, events = read(parcel.body, LIMITS)
        taken = take(sent_at, events, sitting.session, FOR, received_at=received_at, limits=LIMITS)
        assert all(result.status is Status.OK for result in taken.results), taken.results
        self.log += taken.bodies
        self._note(parcel, timedelta(milliseconds=now_ms - parcel.sent_ms))
        return {result.seq for result in taken.results if result.seq is not None}

    def close(self, sitting: Sitting, how: str, now_ms: int) -> None:
        """End a session from outside its player: "expired" or "terminated"."""
        heard, at = self.heard[sitting.session.session_id], sitting.when(now_ms)
        event: Event = PlaybackSessionExpired(session=sitting.session, reason="silent", position_ms=0)
        if how == "terminated":
            event = PlaybackSessionTerminated(session=sitting.session, reason="remote", by=TerminatedBy())
        self._record(sitting, event, f"{sitting.session.session_id}:{how}", at)
        if not heard.closings:
            heard.ended_before = any(sitting.told[seq].ends for seq in heard.measured())
        heard.closings.setdefault(how, at)

    def catch_up(self, runner: asyncio.Runner, *, again: int = 0) -> None:
        """Project what was taken; `again`: that many records are delivered a second time, as after a restart."""
        first = max(0, self._applied - again)
        records = [FakeRecord(offset, self.log[offset]) for offset in range(first, len(self.log))]
        if records:
            runner.run(self._engine.apply([slab(PLAYBACK_0, records)]))
            self._applied = len(self.log)
        assert self.letters.sent == []

    def rows(self, view: str) -> dict[Any, Any]:
        """The rows of a view, by key."""
        return self.store.rows.get(view, {})

    def session_rows(self) -> dict[Any, Any]:
        """The summaries, by session."""
        return self.rows(self._sessions.name)

    def _note(self, parcel: Parcel, late: timedelta) -> None:
        """Remember what reached us: a corrected time is the true one, and as late as the report was under way."""
        heard = self.heard[parcel.sitting.session.session_id]
        for seq in parcel.seqs:
            at = parcel.sitting.when(parcel.sitting.told[seq].at_ms) + late
            heard.known.setdefault(seq, at)
            heard.times.setdefault(seq, set()).add(at)

    def _record(self, sitting: Sitting, event: Event, event_id: str, at: datetime) -> None:
        self.log.append(recorded(event, sitting.session, FOR, event_id=event_id, at=at, taken_at=at))
