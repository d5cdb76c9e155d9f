"""Building a version: the same engine and folds as the live ones, from Kafka's beginning, under checkpoints of its own.

It never goes past what the projection has applied (placing.py), and comes after the live views (pacing.py). What it was
doing when it was killed, the next one goes on with.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from aiokafka.errors import KafkaError

from infra.clock import monotonic_s
from infra.settings import Settings
from infra.telemetry import log
from projections.engine import Engine
from projections.errors import StoreEmptied, StoreUnavailable
from projections.slabs import Partition
from projections.stores.postgres import PostgresStore
from projections.versions import adding_up
from projections.versions.adding_up import CannotBeAddedUp
from projections.versions.entry import Entry
from projections.versions.groups import Group
from projections.versions.pacing import Interrupted, Pace
from projections.versions.placing import Place
from projections.versions.registry import State, Version
from projections.versions.telling import Show

FIRST_PAUSE_S: Final = 0.05
ADDING_UP: Final = "adding up"
LANES: Final = 2
"""Partitions are applied in two transactions side by side: one folds while the other waits for Postgres."""
OUTAGES: Final = (StoreUnavailable, StoreEmptied, KafkaError)


class Build:
    """One version, brought to where the projection is and kept there. Use as a context."""

    def __init__(self, group: Group, version: Version, settings: Settings, show: Show = lambda _: None) -> None:
        self.group = group
        self._settings = settings
        self._entry = Entry(group, version, settings, show)
        self._place = Place(group, self._entry, settings)
        self._pace = Pace(group, self._entry, self._place, settings)
        self._engines = [self._engine() for _ in range(LANES)]
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for part in (self._entry, self._place, self._pace):
                await self._opened.enter_async_context(part)
            await self._place.begin()
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @property
    def version(self) -> Version:
        """As the registry had it when it was last read."""
        return self._entry.version

    @property
    def partitions(self) -> list[Partition]:
        """Of the view's topics."""
        return self._place.partitions

    @property
    def first(self) -> dict[Partition, int]:
        """Where each of them begins."""
        return self._place.first

    @property
    def own(self) -> dict[Partition, int]:
        """How far each of them is applied."""
        return self._place.own

    async def limits(self) -> dict[Partition, int]:
        """How far the version may go."""
        return await self._place.limits()

    async def run(self) -> None:
        """Until it is ready: as near to the live one as settings.rebuild_ready_records; or exactly at its cut."""
        while True:
            async for behind in self.steps():
                if self._is_near(behind):
                    break
            await self._entry.look()
            if self.version.state is State.BUILDING:
                await self._add_up()
            elif self.version.state is State.CATCHING_UP:
                await self._entry.advance(State.READY)
            elif self.version.state is State.INSPECTING:
                await self._entry.advance(State.INSPECTION)
            else:
                break
        await self._tell(0)

    def _engine(self) -> Engine[Any]:
        store, views, letters = self._place.store, self.group.views, self._entry.letters
        return Engine[Any](store, views, letters, takes_replays=self._settings.replays_applied)

    def _is_near(self, behind: int) -> bool:
        if self.version.cut is not None:
            return self._place.is_at_cut
        return behind <= self._settings.rebuild_ready_records and not self._may_not_add_up

    @property
    def _may_not_add_up(self) -> bool:
        return self._pace.waits is not None and self.version.state is State.BUILDING

    async def _add_up(self) -> None:
        """End the state in which aggregates are passed over (adding_up.py); then there is more to catch up with. Only
        Postgres has aggregates.
        """
        if not self.group.aggregates:
            await self._entry.advance(State.CATCHING_UP)
            return
        self._pace.waits = ADDING_UP
        await self._tell(sum(self.own.values()))
        self._pace.waits = None
        assert isinstance(self._place.store, PostgresStore)
        of_version = (self._place.store, self.group, self.version, self._place.beginning(), self._settings)
        try:
            try:
                await adding_up.add_up(*of_version, self._pace.between_chunks)
            except CannotBeAddedUp as error:
                log.warning("rebuild begins anew, adding up as it goes", view=self.group.name, error=str(error))
                await adding_up.begin_anew(*of_version)
                await self._place.begin()
        except Interrupted:
            return
        except OUTAGES as error:
            log.warning("rebuild waits", view=self.group.name, error=str(error))
            await asyncio.sleep(self._settings.rebuild_lag_poll_s)
            await self._again()

    async def steps(self) -> AsyncIterator[int]:
        """Steps for ever; after each, how many records the projection has applied that it has not."""
        pause_s = FIRST_PAUSE_S
        total = 0
        while True:
            try:
                limits = await self._place.limits()
                total = sum(limits.values())
                if not await self._pace.held_back():
                    await self._apply(limits, await self._pace.next_records())
                if self._entry.is_due:
                    await self._tell(total)
                pause_s = FIRST_PAUSE_S
            except OUTAGES as error:
                log.warning("rebuild waits", view=self.group.name, error=str(error), retry_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)
                await self._again()
                continue
            yield total - sum(self.own.values())

    async def _again(self) -> None:
        try:
            await self._place.begin()
        except OUTAGES as error:
            log.warning("rebuild cannot go on yet", view=self.group.name, error=str(error))

    async def reach(self, limits: dict[Partition, int], within_s: float) -> bool:
        """Apply all that is before these offsets, now; whether that was done in time."""
        with_timeout_s = monotonic_s() + within_s
        while self.own != limits:
            if monotonic_s() > with_timeout_s or any(self.own[each] > limit for each, limit in limits.items()):
                return False
            await self._apply(limits, self._settings.rebuild_batch_records)
        return True

    async def _apply(self, limits: dict[Partition, int], most: int) -> None:
        slabs = await self._place.take(limits, most)
        if not slabs:
            await asyncio.sleep(self._settings.rebuild_follow_poll_s)
            return
        lanes = [[slab for slab in slabs if slab.partition.partition % LANES == lane] for lane in range(LANES)]
        rounds = [engine.apply(lane) for engine, lane in zip(self._engines, lanes, strict=True) if lane]
        for applied in await asyncio.gather(*rounds, return_exceptions=True):
            if isinstance(applied, BaseException):
                raise applied
            self._place.went_on(applied)

    async def _tell(self, total: int) -> None:
        """Say how far it is. `total`: the sum of the offsets that it may go to."""
        done = self._place.done
        await self._entry.tell(done, max(total - sum(self.first.values()), done), self._pace.waits)
