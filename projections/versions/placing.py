"""Where a version stands in history: where its partitions begin, how far they are applied, and how far they may be."""

from contextlib import AsyncExitStack
from typing import Final, Self

from infra.settings import Settings
from projections.engine import Applied
from projections.slabs import Checkpoint, Partition, Slab
from projections.versions.entry import Entry
from projections.versions.feed import Feed
from projections.versions.folded_into import projection_of_store, store_of
from projections.versions.groups import PROJECTION, Group
from projections.versions.registry import VersionRefused

APPLIED: Final = f"""
    select topic, partition, next_offset from projection_checkpoint
    where projection = '{PROJECTION}' and topic = any($1)
"""
WAIT_S: Final = 0.1


class Place:
    """The records that a version is made of, and its place in them. Use as a context, then begin(); its methods raise
    StoreUnavailable, StoreEmptied and KafkaError. `own`: how far each partition is applied. `first`: where it begins.
    """

    def __init__(self, group: Group, entry: Entry, settings: Settings) -> None:
        self.own: dict[Partition, int] = {}
        self.first: dict[Partition, int] = {}
        self.store = store_of(settings, group, entry.version)
        self._projection = projection_of_store(settings, group.store)
        self._group = group
        self._entry = entry
        self._settings = settings
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._opened.push_async_callback(self.store.close)
        if self._projection is not None:
            self._opened.push_async_callback(self._projection.close)
        try:
            self._feed = await self._opened.enter_async_context(Feed(self._settings, self._group.topics))
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @property
    def partitions(self) -> list[Partition]:
        """Of the view's topics."""
        return self._feed.partitions

    @property
    def done(self) -> int:
        """How many records are applied."""
        return sum(self.own.values()) - sum(self.first.values())

    async def begin(self) -> None:
        """Begin, or go on, where the version's checkpoints say. Raises VersionRefused where what it needs is neither
        in Kafka nor in the archive.
        """
        await self.store.open()
        if self._projection is not None:
            await self._projection.open()
        await self._entry.look()
        held = await self.store.checkpoints(self.partitions)
        bounds = await self._feed.bounds()
        self.first = {partition: first for partition, (first, _) in bounds.items()}
        wanted = {each: held[each].next_offset if each in held else 0 for each in self.partitions if not each.passes}
        if gone := await self._feed.lacks(wanted):
            raise VersionRefused(f"{gone}; the view cannot be rebuilt")
        begun = {each: at for each, at in self.beginning().items() if each not in held}
        if begun:
            await self.store.begin(begun)
        self.own = {each: at.next_offset for each, at in {**held, **begun}.items()}
        self._feed.seek(self.own)

    def beginning(self) -> dict[Partition, Checkpoint]:
        """The checkpoints of a version with nothing applied."""
        return {each: Checkpoint(first, -1 if each.relayed else first - 1) for each, first in self.first.items()}

    async def limits(self) -> dict[Partition, int]:
        """How far the projection is, which is as far as a version may go; one as of a cut no further than that."""
        applied, stop = await self._applied_by_projection(), self._entry.version.cut
        if stop is not None:
            applied = {each: min(offset, stop.of(each)) for each, offset in applied.items()}
        return {each: max(applied.get(each, 0), self.first[each]) for each in self.partitions}

    @property
    def is_at_cut(self) -> bool:
        """Whether all that is before the version's cut is applied; of one without a cut never."""
        stop = self._entry.version.cut
        return stop is not None and all(offset >= stop.of(each) for each, offset in self.own.items())

    async def _applied_by_projection(self) -> dict[Partition, int]:
        if self._projection is not None:
            held = await self._projection.checkpoints(self.partitions)
            return {partition: at.next_offset for partition, at in held.items()}
        async with self._entry.asking() as connection:
            rows = await connection.fetch(APPLIED, self._group.topics)
        return {Partition(row["topic"], row["partition"]): int(row["next_offset"]) for row in rows}

    async def take(self, limits: dict[Partition, int], most: int) -> list[Slab]:
        """The next records before these offsets."""
        return await self._feed.take(limits, most, WAIT_S)

    def went_on(self, applied: Applied) -> None:
        """Take note of what an engine has applied; what it left out is read again."""
        self.own |= {each: at.next_offset for each, at in applied.checkpoints.items()}
        if behind := {each: self.own[each] for each in applied.gaps}:
            self._feed.seek(behind)
