"""Expires sessions that nobody ends: PlaybackSessionExpired for those of which nothing came for ten minutes, or whose
playhead stood for thirty (source: domain rules, "Player reports"). A process of its own, never a reader.

It looks into a view, which may be behind, and must expire nobody who plays (ADR 17). So it asks Kafka where each
partition ends, and judges its sessions by that moment only once the view has applied all of it. Silence counts only
while Kafka answered: what no player could report does not make it silent. Nothing that a player said counts, only when
it came.

Several may run at once, late, and be killed anywhere: the event of a session has one id, and the view takes the first.
A session's lease is closed before its event is published; killed in between, the session is still open in the view,
and the next round expires it, or its player has come back and is told to start anew.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol

from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from commands.playback.open_sessions import Census, Due, OpenSessions, Patience
from commands.playback.recording import recorded
from events.envelope import Context
from events.playback import PlaybackSessionExpired
from events.topics import PLAYBACK
from events.types import AccountId, SessionId
from infra.batches import hash_of
from infra.clock import Clock
from infra.ids import new_id
from infra.positions import Position
from infra.publisher import Unpublished
from infra.telemetry import log

PRINCIPAL: Final = "reaper"
EXPIRED: Final = Counter("playhead_sessions_expired_total", "Sessions that were expired here", ["reason"])
OPEN: Final = Gauge("playhead_sessions_open", "Sessions that are not over, as of the last round")
SILENCE: Final = Gauge("playhead_sessions_silence_seconds", "How long the longest silent of them has been so")
UNJUDGED: Final = Gauge("playhead_reaper_partitions_unjudged", "Partitions that the view had not applied far enough")


class Log(Protocol):
    """The playback topic, and how far the view has applied it."""

    async def ends(self) -> Mapping[int, int]:
        """By partition, the offset after the last record. Raises KafkaError."""

    async def applied(self) -> Mapping[int, int]:
        """By partition, the offset that the view applies next; none for a partition of which it applied nothing."""


class Publishing(Protocol):
    """The way to Kafka."""

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        """See infra/publisher.py. Raises Unpublished."""


class Closing(Protocol):
    """The leases, as far as they are told of sessions that are over."""

    async def expire(self, account_id: AccountId, session_id: SessionId) -> bool:
        """The session's place is free, and its next report is told that it is gone; False: they are away."""


class Mark(NamedTuple):
    """Where a partition ended at a moment: once the view has applied all before `end`, it knows all until then."""

    asked_at: datetime
    end: int


class Judged(NamedTuple):
    """Until when the view is known to be whole, by partition; and how many partitions there are."""

    until: Mapping[int, datetime]
    partitions: int

    def knows_until(self, due: Due) -> datetime | None:
        """Until when the view is whole for a session; None: it is not known."""
        return self.until.get(hash_of(due.session.profile_id.encode()) % self.partitions)


@dataclass
class Reaper:
    """One reaper. `stopping`: finish the page in hand and take no other. `remembered_max`: how many sessions may be
    expired that the view does not show so yet; then it waits for the view.
    """

    sessions: OpenSessions
    log: Log
    publisher: Publishing
    leases: Closing
    clock: Clock
    patience: Patience
    batch: int = 500
    remembered_max: int = 100_000
    stopping: bool = False
    _marks: dict[int, Mark] = field(default_factory=dict)
    _watching_since: datetime | None = None
    _expired: set[SessionId] = field(default_factory=set)
    _untold: dict[SessionId, AccountId] = field(default_factory=dict)

    async def run_once(self) -> int:
        """Expire all that is known to be due; how many sessions. Raises KafkaError, Unpublished, and what Postgres
        raises while it is away.
        """
        try:
            return await self._round(self.clock())
        except (KafkaError, Unpublished):
            self._watching_since = None
            raise

    async def _round(self, now: datetime) -> int:
        await self._close_leases(dict(islice(self._untold.items(), self.batch)))
        judged = await self._judged(now)
        context = Context(correlation_id=f"{PRINCIPAL}-{new_id()}", principal=PRINCIPAL)
        seen: set[SessionId] = set()
        after, expired = None, 0
        while not self.stopping and (page := await self.sessions.due(now, after=after, limit=self.batch)):
            seen.update(due.session.session_id for due in page)
            expired += await self._expire_all([due for due in page if self._is_over(due, judged)], context)
            after = page[-1]
        if not self.stopping:
            self._expired &= seen  # the others are over in the view, or were heard of
            self._report(await self.sessions.census(), now)
        return expired

    async def _judged(self, now: datetime) -> Judged:
        """The partitions of which the view has by now applied what Kafka held when it was asked, now or before."""
        ends = await self.log.ends()
        self._watching_since = self._watching_since or now
        for partition, end in ends.items():
            self._marks.setdefault(partition, Mark(now, end))
        applied = await self.log.applied()
        whole = {number: mark for number, mark in self._marks.items() if applied.get(number, 0) >= mark.end}
        for number in whole:
            del self._marks[number]
        UNJUDGED.set(len(self._marks))
        return Judged({number: mark.asked_at for number, mark in whole.items()}, len(ends))

    def _is_over(self, due: Due, judged: Judged) -> bool:
        until = judged.knows_until(due)
        if until is None or due.at > until or due.session.session_id in self._expired:
            return False
        return due.reason == "standing" or due.is_offline or self._was_listening(until)

    def _was_listening(self, until: datetime) -> bool:
        """Whether Kafka answered for as long as a session may be silent: else its player may have had no way to us."""
        return self._watching_since is not None and self._watching_since <= until - self.patience.silent

    async def _expire_all(self, due: Sequence[Due], context: Context) -> int:
        """Raises Unpublished, once none is on its way any more."""
        room = max(self.remembered_max - len(self._expired), 0)
        if len(due) > room:
            log.warning("reaper_waits_for_the_view", expired=len(self._expired), due=len(due))
        endings = await asyncio.gather(*(self._expire(one, context) for one in due[:room]), return_exceptions=True)
        for ending in endings:
            if ending is not None:
                raise ending
        return len(endings)

    async def _expire(self, due: Due, context: Context) -> None:
        session = due.session
        await self._close_leases({session.session_id: session.account_id})
        event = PlaybackSessionExpired(session=session, reason=due.reason, position_ms=due.position_ms)
        event_id = f"{session.session_id}:expired"
        body = recorded(event, session, context, event_id=event_id, at=due.at, taken_at=self.clock())
        await self.publisher.publish(PLAYBACK.name, session.profile_id, [body])
        self._expired.add(session.session_id)
        EXPIRED.labels(due.reason).inc()

    async def _close_leases(self, of: Mapping[SessionId, AccountId]) -> None:
        """Those that cannot be told now are told in a later round."""
        told = await asyncio.gather(
            *(self.leases.expire(account_id, session_id) for session_id, account_id in of.items())
        )
        for (session_id, account_id), was_told in zip(of.items(), told, strict=True):
            if was_told:
                self._untold.pop(session_id, None)
            elif len(self._untold) < self.remembered_max:
                self._untold[session_id] = account_id

    def _report(self, census: Census, now: datetime) -> None:
        OPEN.set(census.sessions)
        SILENCE.set(0 if census.silent_since is None else max((now - census.silent_since).total_seconds(), 0))
