"""Building a version: the same engine and folds as the live ones, from Kafka's beginning, under checkpoints of its own.

It never goes past what the projection has applied. It yields: to a throttle, to whoever pauses it, and to the live
views, whenever they are behind. What it was doing when it was killed, the next one goes on with.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Self

import asyncpg
from aiokafka.errors import KafkaError

from infra.clock import monotonic_s
from infra.postgres import Connection, Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import log
from infra.view_lag import Ends
from projections.engine import Engine
from projections.errors import StoreEmptied, StoreUnavailable
from projections.slabs import Checkpoint, Partition
from projections.stores.postgres import PostgresStore
from projections.stores.postgres_writing import told_apart
from projections.versions import adding_up, registry, telling
from projections.versions.adding_up import CannotBeAddedUp
from projections.versions.feed import Feed
from projections.versions.folded_into import projection_of_store, store_of
from projections.versions.groups import NOT_FILLED, PROJECTION, Group
from projections.versions.keeping import check_kept
from projections.versions.registry import State, Version, VersionRefused
from projections.versions.telling import SetAside, Show, Teller

APPLIED: Final = f"""
    select topic, partition, next_offset from projection_checkpoint
    where projection = '{PROJECTION}' and topic = any($1)
"""
FIRST_PAUSE_S: Final = 0.05
WAIT_S: Final = 0.1
ADDING_UP: Final = "adding up"
LANES: Final = 2
"""Partitions are applied in two transactions side by side: one folds while the other waits for Postgres."""


class Interrupted(Exception):
    """What cannot be left half done is done later, as somebody paused it."""


class Build:
    """One version, brought to where the projection is and kept there. Use as a context."""

    def __init__(self, group: Group, version: Version, settings: Settings, show: Show = lambda _: None) -> None:
        if {view: fold for view, fold in version.folds.items() if fold != NOT_FILLED} != group.folds:
            raise VersionRefused(
                f"version {version.version} of {group.name} has the folds {version.folds}, and this release "
                f"{group.folds}: use the release that has them, or retire that version and rebuild"
            )
        self.group = group
        self.version = version
        self._settings = settings
        self._show = show
        self._opened = AsyncExitStack()
        self._letters = SetAside()
        self._store = store_of(settings, group, version)
        self._projection = projection_of_store(settings, group.store)
        self._engines = [Engine[Any](self._store, group.views, self._letters) for _ in range(LANES)]
        self._own: dict[Partition, int] = {}
        self._first: dict[Partition, int] = {}
        self._teller = Teller(settings)
        self._asked_at_s = float("-inf")
        self._waits: str | None = None

    async def __aenter__(self) -> Self:
        try:
            self._pool: Pool = await connect_pool(self._settings, role=Role.PROJECTIONS, size=2)
            self._opened.push_async_callback(self._pool.close)
            self._opened.push_async_callback(self._store.close)
            if self._projection is not None:
                self._opened.push_async_callback(self._projection.close)
            self._feed = await self._opened.enter_async_context(Feed(self._settings, self.group.topics))
            self._ends = await self._opened.enter_async_context(Ends(self._settings))
            await self._place()
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
    def first(self) -> dict[Partition, int]:
        """Where each of them begins."""
        return self._first

    @property
    def own(self) -> dict[Partition, int]:
        """How far each of them is applied."""
        return self._own

    async def _place(self) -> None:
        """Begin, or go on, where the version's checkpoints say. Raises VersionRefused where Kafka has no beginning."""
        await self._store.open()
        if self._projection is not None:
            await self._projection.open()
        await self._look()
        held = await self._store.checkpoints(self.partitions)
        bounds = await self._feed.bounds()
        self._first = {partition: first for partition, (first, _) in bounds.items()}
        gone = [each for each, first in self._first.items() if first > (held[each].next_offset if each in held else 0)]
        if gone:
            raise VersionRefused(
                f"{gone[0].topic}/{gone[0].partition} begins at {self._first[gone[0]]} in Kafka: what was before is "
                "gone from there, and there is no archive yet to read it from; the view cannot be rebuilt"
            )
        begun = {each: at for each, at in self._beginning().items() if each not in held}
        if begun:
            await self._store.begin(begun)
        self._own = {each: at.next_offset for each, at in {**held, **begun}.items()}
        self._feed.seek(self._own)

    def _beginning(self) -> dict[Partition, Checkpoint]:
        return {each: Checkpoint(first, -1 if each.relayed else first - 1) for each, first in self._first.items()}

    async def run(self) -> None:
        """Until it is ready: as near to the live one as settings.rebuild_ready_records."""
        while True:
            async for behind in self.steps():
                if behind <= self._settings.rebuild_ready_records and not self._may_not_add_up:
                    break
            await self._look()
            if self.version.state is State.BUILDING:
                await self._add_up()
            elif self.version.state is State.CATCHING_UP:
                await self._advance(State.READY)
            else:
                break
        await self._note(0, force=True)

    @property
    def _may_not_add_up(self) -> bool:
        return self._waits is not None and self.version.state is State.BUILDING

    async def _add_up(self) -> None:
        """End the state in which aggregates are passed over (adding_up.py); then there is more to catch up with. Only
        Postgres has aggregates.
        """
        if not self.group.aggregates:
            await self._advance(State.CATCHING_UP)
            return
        self._waits = ADDING_UP
        await self._note(sum(self._own.values()), force=True)
        self._waits = None
        assert isinstance(self._store, PostgresStore)
        of_version = (self._store, self.group, self.version, self._beginning(), self._settings)
        try:
            try:
                await adding_up.add_up(*of_version, self._between_chunks)
            except CannotBeAddedUp as error:
                log.warning("rebuild begins anew, adding up as it goes", view=self.group.name, error=str(error))
                await adding_up.begin_anew(*of_version)
                await self._place()
        except Interrupted:
            return
        except (StoreUnavailable, StoreEmptied, KafkaError) as error:
            log.warning("rebuild waits", view=self.group.name, error=str(error))
            await asyncio.sleep(self._settings.rebuild_lag_poll_s)
            await self._again()

    async def _between_chunks(self, rows: int) -> None:
        """Yield while a version is added up, as between its rounds. Nothing is noted: it has the registry's row locked
        who retires the version, and waits for us.
        """
        if rate := self.version.max_events_per_s:
            await asyncio.sleep(rows / rate)
        while await self._held_back():
            if self.version.paused:
                raise Interrupted

    async def steps(self) -> AsyncIterator[int]:
        """Steps for ever; after each, how many records the projection has applied that it has not."""
        pause_s = FIRST_PAUSE_S
        total = 0
        while True:
            try:
                limits = await self.limits()
                total = sum(limits.values())
                if not await self._held_back():
                    await self._apply(limits, await self._pace())
                await self._note(total)
                pause_s = FIRST_PAUSE_S
            except (StoreUnavailable, StoreEmptied, KafkaError) as error:
                log.warning("rebuild waits", view=self.group.name, error=str(error), retry_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)
                await self._again()
                continue
            yield total - sum(self._own.values())

    async def _again(self) -> None:
        try:
            await self._place()
        except (StoreUnavailable, StoreEmptied, KafkaError) as error:
            log.warning("rebuild cannot go on yet", view=self.group.name, error=str(error))

    async def limits(self) -> dict[Partition, int]:
        """How far the projection is, which is as far as a version may go."""
        applied = await self._applied()
        return {each: max(applied.get(each, 0), self._first[each]) for each in self.partitions}

    async def _applied(self) -> dict[Partition, int]:
        if self._projection is not None:
            held = await self._projection.checkpoints(self.partitions)
            return {partition: at.next_offset for partition, at in held.items()}
        async with self._asking() as connection:
            rows = await connection.fetch(APPLIED, self.group.topics)
        return {Partition(row["topic"], row["partition"]): int(row["next_offset"]) for row in rows}

    async def reach(self, limits: dict[Partition, int], within_s: float) -> bool:
        """Apply all that is before these offsets, now; whether that was done in time."""
        with_timeout_s = monotonic_s() + within_s
        while self._own != limits:
            if monotonic_s() > with_timeout_s or any(self._own[each] > limit for each, limit in limits.items()):
                return False
            await self._apply(limits, self._settings.rebuild_batch_records)
        return True

    async def _apply(self, limits: dict[Partition, int], most: int) -> None:
        slabs = await self._feed.take(limits, most, WAIT_S)
        if not slabs:
            await asyncio.sleep(self._settings.rebuild_follow_poll_s)
            return
        lanes = [[slab for slab in slabs if slab.partition.partition % LANES == lane] for lane in range(LANES)]
        rounds = [engine.apply(lane) for engine, lane in zip(self._engines, lanes, strict=True) if lane]
        for applied in await asyncio.gather(*rounds, return_exceptions=True):
            if isinstance(applied, BaseException):
                raise applied
            self._own |= {each: at.next_offset for each, at in applied.checkpoints.items()}
            if behind := {each: self._own[each] for each in applied.gaps}:
                self._feed.seek(behind)

    async def _pace(self) -> int:
        """How many records to take now; sleeps as long as the throttle says."""
        most, rate = self._settings.rebuild_batch_records, self.version.max_events_per_s
        if rate is None:
            return most
        most = max(1, min(most, rate // 10))
        await asyncio.sleep(most / rate)
        return most

    async def _held_back(self) -> bool:
        """Whether somebody paused it, or the live views come first."""
        now_s = monotonic_s()
        if now_s - self._asked_at_s >= self._settings.rebuild_lag_poll_s:
            self._asked_at_s = now_s
            await self._look()
            self._waits = "paused" if self.version.paused else await self._live_lag()
        if self._waits:
            await asyncio.sleep(self._settings.rebuild_lag_poll_s)
        return self._waits is not None

    async def _look(self) -> None:
        """Read the version anew. Raises Superseded."""
        with self._unless_live():
            async with self._asking() as connection:
                self.version = await registry.one(connection, self.version.view, self.version.version)
        check_kept(self.version)

    @contextmanager
    def _unless_live(self) -> Iterator[None]:
        """What keeps a live version in another store goes on while Postgres is away: its readers do not need it."""
        try:
            yield
        except StoreUnavailable as error:
            if self._projection is None or self.version.state is not State.LIVE:
                raise
            log.warning("registry is away", view=self.group.name, error=str(error))

    async def _live_lag(self) -> str | None:
        applied = await self.limits()
        for topic in self.group.topics:
            for number, end in (await self._ends.of(topic)).items():
                lag = end - applied.get(Partition(topic, number), end)
                if lag > self._settings.rebuild_pause_lag_records:
                    return f"the live views are {lag} records behind in {topic}/{number}, and come first"
        return None

    async def _note(self, total: int, *, force: bool = False) -> None:
        """Say how far it is, now and then."""
        if not (force or self._teller.is_due):
            return
        begun = sum(self._first.values())
        done = sum(self._own.values()) - begun
        progress = self._teller.progress(self.version, done, max(total - begun, done), self._waits)
        set_aside = self._letters.take()
        with self._unless_live():
            async with self._asking() as connection:
                await telling.write(connection, self.version, progress, set_aside)
        self._show(progress)

    async def _advance(self, to: State) -> None:
        async with self._asking() as connection:
            now = await registry.one(connection, self.version.view, self.version.version)
            if to in registry.STEPS[now.state]:
                with suppress(VersionRefused):  # somebody else who builds it was quicker
                    await registry.move(connection, now, to)
            self.version = await registry.one(connection, self.version.view, self.version.version)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Connection]:
        with told_apart():
            async with self._pool.acquire(timeout=self._settings.query_timeout_s) as connection:
                try:
                    yield connection  # type: ignore[misc]  # a proxy that the stubs do not take for a connection
                except (OSError, TimeoutError, asyncpg.PostgresConnectionError):
                    connection.terminate()
                    raise
