"""Moves what was backfilled to the topic that the views read: the same bytes under the same keys, at a bounded pace,
and only while the views keep up with what is live.

A record is committed once Kafka has it there; what was moved and not committed is moved again, and counts once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from commands.playback.backfill.poison import Record, fault_of, letter_of
from commands.playback.backfill.producing import Keyed, Publisher, produce
from events.topics import BACKFILL, PLAYBACK, dead_letters_of
from infra.clock import Clock
from infra.settings import Settings
from infra.telemetry import log

MOVED: Final = Counter("playhead_backfill_moved_total", "Backfilled events moved to where the views read")
SET_ASIDE: Final = Counter("playhead_backfill_dead_letters_total", "Backfilled records set aside", ["reason"])
PAUSED: Final = Gauge("playhead_backfill_paused", "1 while the views are too far behind for more")
WAITING: Final = Gauge("playhead_backfill_waiting_records", "Backfilled records that are not moved yet")
SLICES_PER_S: Final = 20
"""Of how many parts a second's worth is made: no part is so large that live events would wait behind it."""
SLICE_MAX: Final = 1_000
"""However fast it is to go: what is produced together is to be acknowledged within produce_timeout_s."""


class Source(Protocol):
    """The backfill's topic, as a member of its group reads it."""

    async def fetch(self, most: int) -> Sequence[Record]:
        """Some records; none, after a while, when there are none. Those of a partition in order."""

    async def commit(self, records: Sequence[Record]) -> None:
        """These and those before are moved."""

    def waiting(self) -> int:
        """About how many records are not fetched."""


class Views(Protocol):
    """How far the views are."""

    async def are_behind(self) -> bool:
        """Whether what is live has to come first."""


class Ending:
    """Whether the process was told to end, and pauses that end when it is."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def tell(self) -> None:
        """End after the slice in hand."""
        self._told.set()

    @property
    def is_told(self) -> bool:
        """Whether it was."""
        return self._told.is_set()

    async def pause(self, pause_s: float) -> None:
        """Wait for so long, or until told."""
        try:
            async with asyncio.timeout(pause_s):
                await self._told.wait()
        except TimeoutError:
            return


class Pace:
    """At most so many in a second, slice by slice. `now_s`: of a clock that never goes back."""

    def __init__(self, per_s: int) -> None:
        self.slice = min(max(1, per_s // SLICES_PER_S), SLICE_MAX)
        self._per_s = per_s
        self._free_s = 0.0

    def pause_s(self, count: int, now_s: float) -> float:
        """How long to wait after so many."""
        self._free_s = max(self._free_s, now_s - 1 / SLICES_PER_S) + count / self._per_s
        return max(self._free_s - now_s, 0.0)


class Mover:
    """One process's part of the work. What has waited for half of the topic's retention is pressing: it is moved before
    Kafka drops it, however far behind the views are.
    """

    def __init__(
        self, source: Source, views: Views, publisher: Publisher, *, clock: Clock, settings: Settings, ending: Ending
    ) -> None:
        self._source = source
        self._views = views
        self._publisher = publisher
        self._clock = clock
        self._ending = ending
        self._pace = Pace(settings.backfill_max_events_per_s)
        self._poll_s = settings.backfill_lag_poll_s
        self._retry_s = float(settings.retry_after_s)
        self._patience = timedelta(days=settings.backfill_retention_days) / 2

    async def move_slice(self) -> int:
        """Move some records; how many. Raises what its source, its views and its publisher raise: then the source is
        to be opened anew, at what was committed.
        """
        records = await self._source.fetch(self._pace.slice)
        WAITING.set(self._source.waiting() + len(records))
        if not records:
            await self._views.are_behind()  # who has been asked before can tell of stores that say it late
            return 0
        if not await self._until_wanted(records[0]):
            return 0
        events, letters = self._sorted(records)
        for topic, keyed in ((dead_letters_of(BACKFILL.name), letters), (PLAYBACK.name, events)):
            if not await self._until_acknowledged(topic, keyed):
                return 0
        await self._source.commit(records)
        MOVED.inc(sum(map(len, events.values())))
        WAITING.set(self._source.waiting())
        await self._ending.pause(self._pace.pause_s(len(records), asyncio.get_running_loop().time()))
        return len(records)

    async def _until_wanted(self, first: Record) -> bool:
        """Wait until the views have room. False when told to end meanwhile."""
        while not self._ending.is_told:
            if self._is_pressing(first) or not await self._views.are_behind():
                PAUSED.set(0)
                return True
            PAUSED.set(1)
            await self._ending.pause(self._poll_s)
        return False

    def _is_pressing(self, record: Record) -> bool:
        return self._clock().timestamp() - record.timestamp / 1000 > self._patience.total_seconds()

    def _sorted(self, records: Sequence[Record]) -> tuple[Keyed, Keyed]:
        events: defaultdict[str, list[bytes]] = defaultdict(list)
        letters: defaultdict[str, list[bytes]] = defaultdict(list)
        now: datetime = self._clock()
        for record in records:
            fault = fault_of(record)
            if fault is None:
                events[(record.key or b"").decode()].append(record.value or b"")
            else:
                letters[BACKFILL.name].append(letter_of(record, *fault, now))
                SET_ASIDE.labels(fault[0]).inc()
                log.warning("backfilled_record_set_aside", offset=record.offset, reason=fault[0], detail=fault[1])
        return events, letters

    async def _until_acknowledged(self, topic: str, events: Keyed) -> bool:
        """False when told to end meanwhile."""
        left: Mapping[str, Sequence[bytes]] = events
        while left := await produce(self._publisher, topic, left):
            log.warning("backfill_waits_for_kafka", keys=len(left))
            await self._ending.pause(self._retry_s)
            if self._ending.is_told:
                return False
        return True
