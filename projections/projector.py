"""The projector of one store: places partitions where the store's checkpoints say, and keeps the engine busy with
what arrives, until it is told to drain. Faust drives it through projections/consumer.py; it does not know Faust.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from infra.clock import monotonic_s
from infra.settings import Settings
from infra.telemetry import log
from projections import metrics
from projections.engine import Applied, Engine
from projections.errors import LogBehindStore, StoreEmptied, StoreUnavailable
from projections.inbox import Inbox
from projections.intake import V
from projections.log import Log
from projections.past import Past, told
from projections.slabs import Checkpoint, Partition, Slab
from projections.store import Checkpoints, Store

T = TypeVar("T")
FIRST_PAUSE_S = 0.05


class Projector(Generic[V]):
    """Runs an engine."""

    def __init__(
        self, store: Store[V], engine: Engine[V], log_: Log, settings: Settings, past: Past | None = None
    ) -> None:
        self._store = store
        self._engine = engine
        self._log = log_
        self._settings = settings
        self._past = past or Past(settings)
        self._inbox = Inbox(settings.batch_max_records, settings.batch_max_bytes)
        self._unplaced: set[Partition] = set()
        self._epochs: dict[Partition, int] = {}
        self._firsts: dict[Partition, int] = {}
        self._epoch = 0
        self._applied: dict[Partition, int] = {}
        self._work = asyncio.Event()
        self._open = False
        self._draining = asyncio.Event()
        self._done = asyncio.Event()
        self._joined = False
        self._trouble: str | None = None
        self._progress_at_s = monotonic_s()

    def assign(self, partitions: Collection[Partition]) -> None:
        """The group gave us these partitions, and no others."""
        self.revoke()
        self._unplaced = set(partitions)
        self._joined = True
        self._work.set()

    def revoke(self) -> None:
        """The group takes all partitions back. The batch in hand may end: the store's checkpoint fences it."""
        self._inbox.clear()
        for partition in self._epochs.keys() | self._unplaced:
            self._forget(partition)
        self._unplaced.clear()

    def wanted(self, partitions: Collection[Partition]) -> set[Partition]:
        """Which of these are to be fetched now: none while enough waits, and none that is not placed."""
        return {each for each in partitions if each in self._epochs} if self._inbox.has_room else set()

    def put(self, slab: Slab) -> None:
        """Take a slab that was fetched."""
        self._inbox.put(slab)
        self._work.set()

    def lag(self, partition: Partition) -> int:
        """Records of a partition that are not applied; 0 while it is not known."""
        highwater = self._log.highwater(partition)
        if highwater is None or partition not in self._applied:
            return 0
        return max(highwater - self._applied[partition], 0)

    @property
    def most_lag(self) -> int:
        """The lag of the partition that is furthest behind."""
        return max(map(self.lag, self._applied), default=0)

    def missing(self) -> dict[str, str]:
        """What readiness shows. Given no partitions, a worker is ready; with lag and no progress it is not."""
        missing = dict(self._store.missing)
        if not self._joined:
            missing["consumer"] = "not yet part of its group"
        if self._trouble is not None:
            missing[self._store.name] = self._trouble
        idle_s = monotonic_s() - self._progress_at_s
        if self.most_lag and idle_s > self._settings.stuck_after_s:
            missing["progress"] = f"{self.most_lag} records behind and none applied for {idle_s:.0f} s"
        return missing

    async def run(self) -> None:
        """Apply what arrives until drained. Raises what is neither a record's nor the store's passing trouble."""
        try:
            while not self._draining.is_set():
                if self._unplaced:
                    await self._place(frozenset(self._unplaced))
                elif batch := self._current(self._inbox.take()):
                    await self._apply(batch)
                else:
                    self._work.clear()
                    if not self._inbox.records and not self._unplaced:
                        await self._work.wait()
        except StoreUnavailable:
            if not self._draining.is_set():
                raise
        finally:
            self._past.close()
            self._done.set()

    async def drain(self) -> None:
        """End run() after the batch in hand, and mirror the offsets a last time."""
        self._draining.set()
        self._work.set()
        await self._done.wait()
        await self.mirror()

    async def mirror(self) -> None:
        """Copy the store's checkpoints to Kafka; on the way, see that the store is there and was not emptied."""
        partitions = set(self._epochs)
        if not partitions or not self._open:
            return
        try:
            held = await self._store.checkpoints(partitions)
            await self._log.mirror({partition: checkpoint.next_offset for partition, checkpoint in held.items()})
        except StoreUnavailable as error:
            self._trouble = str(error)
            return
        self._trouble = None
        if len(held) < len(partitions) and partitions == set(self._epochs):
            self._place_all_anew(StoreEmptied(sorted(partitions - held.keys())))

    def _current(self, slabs: list[Slab]) -> list[Slab]:
        """Those that were read after their partition was placed last."""
        return [slab for slab in slabs if self._epochs.get(slab.partition) == slab.epoch]

    async def _still_whole(self, batch: list[Slab]) -> list[Slab]:
        """The slabs before which Kafka gave up nothing that was not applied; the others are read from the archive."""
        leaps = {slab.partition: slab.start for slab in batch if slab.records[0].offset > slab.start}
        if not leaps:
            return batch
        bounds = await self._until_available(partial(self._log.bounds, leaps.keys()))
        lost = {partition for partition, start in leaps.items() if start < bounds[partition][0]}
        self._place_anew(lost)
        return [slab for slab in batch if slab.partition not in lost]

    async def _apply(self, batch: list[Slab]) -> None:
        if not (batch := await self._still_whole(batch)):
            return
        try:
            applied = await self._until_available(partial(self._engine.apply, batch), partial(self._piecemeal, batch))
        except StoreEmptied as error:
            self._place_all_anew(error)
            return
        self._progress_at_s = monotonic_s()
        for partition, checkpoint in applied.checkpoints.items():
            if partition in self._epochs:
                self._applied[partition] = checkpoint.next_offset
        self._place_anew(applied.gaps)

    async def _piecemeal(self, batch: list[Slab]) -> Applied:
        """After a failure, which may have been too much at once for the store's timeout: a slab at a time."""
        applied = Applied({})
        for slab in batch:
            applied = applied.then(await self._engine.apply([slab]))
        return applied

    def _place_anew(self, partitions: Collection[Partition]) -> None:
        for partition in partitions & self._epochs.keys():
            log.warning("records are missing in between: back to the checkpoint", **partition._asdict())
            self._forget(partition)
            self._unplaced.add(partition)

    def _place_all_anew(self, error: StoreEmptied) -> None:
        log.warning("the store was emptied: placing all partitions anew", projection=self._store.name, error=str(error))
        placed = set(self._epochs)
        self.revoke()
        self._unplaced |= placed
        self._work.set()

    def _forget(self, partition: Partition) -> None:
        self._epochs.pop(partition, None)
        if self._applied.pop(partition, None) is not None:
            metrics.LAG.remove(self._store.name, *map(str, partition))

    async def _place(self, partitions: frozenset[Partition]) -> None:
        """Have these partitions read from where the store's checkpoints say."""
        checkpoints = await self._until_available(partial(self._starts, partitions))
        try:
            checkpoints = await self._until_available(partial(self._catch_up, checkpoints))
        except StoreEmptied:  # they stay to be placed
            return
        ours = self._log.assigned()
        placed = {each: at for each, at in checkpoints.items() if each in self._unplaced and each in ours}
        self._epoch += 1
        await self._log.place({each: at.next_offset for each, at in placed.items()}, self._epoch)
        for partition, checkpoint in placed.items():
            if partition in self._unplaced:  # not revoked meanwhile
                self._epochs[partition] = self._epoch
                self._applied[partition] = checkpoint.next_offset
                metrics.LAG.labels(self._store.name, *map(str, partition)).set_function(partial(self.lag, partition))
        metrics.PLACEMENTS.labels(self._store.name).inc(len(placed))
        self._unplaced -= partitions
        self._progress_at_s = monotonic_s()

    async def _starts(self, partitions: frozenset[Partition]) -> Checkpoints:
        """Where to begin: the checkpoints, or the start of history where there is none. Raises StoreUnavailable where
        records that are to be applied are nowhere any more: views would be wrong for good.
        """
        held = await self._store.checkpoints(partitions)
        begun: dict[Partition, Checkpoint] = {}
        bounds = await self._log.bounds(partitions)
        self._firsts = {partition: first for partition, (first, _) in bounds.items()}
        for partition, (first, end) in bounds.items():
            checkpoint = held.get(partition)
            if checkpoint is not None and checkpoint.next_offset > end:
                raise LogBehindStore(f"{partition}: {self._store.name} has {checkpoint}, Kafka ends at {end}")
            start = await self._start(partition, checkpoint, first)
            if checkpoint is None or checkpoint.next_offset < start:
                begun[partition] = Checkpoint(start, checkpoint.position if checkpoint else _before(partition, start))
        if begun:
            names = [f"{each.topic}:{each.partition}@{at.next_offset}" for each, at in begun.items()]
            log.warning("no checkpoint: from the start of the log", projection=self._store.name, partitions=names)
            await self._store.begin(begun)
        return {**held, **begun}

    async def _start(self, partition: Partition, held: Checkpoint | None, first: int) -> int:
        """Where a partition goes on, with which Kafka begins at `first`."""
        start = 0 if held is None else held.next_offset
        gone = await self._past.lacks(partition, start, first)
        if gone is None:
            return start
        if not partition.passes:
            raise StoreUnavailable(
                f"{told(partition, gone)}: the views of {self._store.name} cannot be made without them; "
                "bring back the archive that has them (PLAYHEAD_ARCHIVE_URL), or restore a backup"
            )
        return max(start, await self._past.readable_from(partition, first))

    async def _catch_up(self, checkpoints: Checkpoints) -> Checkpoints:
        """Apply from the archive what Kafka does not hold any more; the checkpoints then."""
        reached = dict(checkpoints)
        for partition, first in self._firsts.items():
            while (at := reached[partition]).next_offset < first and partition in self._unplaced:
                if self._draining.is_set():
                    raise StoreUnavailable("draining")
                settings = self._settings
                most = (settings.batch_max_records, settings.batch_max_bytes)
                slab = await self._past.take(partition, at.next_offset, first, *most)
                applied = await self._engine.apply([slab])
                reached[partition] = applied.checkpoints[partition]
                self._progress_at_s = monotonic_s()
        return reached

    async def _until_available(
        self, action: Callable[[], Awaitable[T]], again: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Do it, and again (`again`, if given) while the store cannot, with growing pauses, until drained."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if not self._open:
                    await self._store.open()
                    self._open = True
                result = await action()
            except StoreUnavailable as error:
                if self._draining.is_set():
                    raise
                self._note_trouble(error, pause_s)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._draining.wait(), pause_s)
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)
                action = again or action
            else:
                self._trouble = None
                return result

    def _note_trouble(self, error: StoreUnavailable, pause_s: float) -> None:
        self._trouble = str(error)
        metrics.RETRIES.labels(self._store.name).inc()
        log.warning("store unavailable", projection=self._store.name, error=str(error), retry_in_s=pause_s)


def _before(partition: Partition, first: int) -> int:
    """The position before a log's first record."""
    return -1 if partition.relayed else first - 1
