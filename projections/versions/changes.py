"""What changes which version is there, or live: each in one transaction of whoever migrates, who owns the tables.

A swap locks the projection's checkpoints of the view's topics: its workers wait, the version is brought to exactly
there, and the tables are exchanged. So no event is missed, none counts twice, and no reader sees an older row than
before.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeAlias

import asyncpg
import msgspec

from infra.clock import monotonic_s, utc_now
from infra.postgres import Connection, Role, connect
from infra.settings import Settings
from infra.telemetry import log
from projections.slabs import Partition
from projections.versions import registry, tables
from projections.versions.build import Build
from projections.versions.groups import NOT_FILLED, PROJECTION, Group, projection_of, table_of
from projections.versions.keeping import Superseded
from projections.versions.registry import Keeper, State, Stop, Version, VersionRefused

RETRY_PAUSE_S: Final = 0.1
LOCK: Final = """
    select topic, partition, next_offset from projection_checkpoint
    where projection = $1 and topic = any($2) order by topic, partition for update
"""
COUNT_SWAP: Final = """
    update projection_checkpoint set swaps = swaps + 1 where projection = any($1) and topic = any($2)
"""
KEEP_OWN: Final = f"""
    insert into projection_checkpoint (projection, topic, partition, next_offset, position)
    select $1, topic, partition, next_offset, position from projection_checkpoint
    where projection = '{PROJECTION}' and topic = any($2)
    on conflict (projection, topic, partition) do update
    set next_offset = excluded.next_offset, position = excluded.position, updated_at = now()
"""
FORGET_OWN: Final = "delete from projection_checkpoint where projection = $1"

Change: TypeAlias = "Callable[[Connection], Awaitable[None]]"


class NotReached(Exception):
    """The version was not brought to the locked checkpoints in time."""


@asynccontextmanager
async def migrating(settings: Settings) -> AsyncIterator[Connection]:
    """A connection of whoever the DSN names, which is who migrates."""
    connection = await connect(settings)
    try:
        yield connection
    finally:
        connection.terminate()


async def begin(
    settings: Settings, group: Group, max_events_per_s: int | None = None, cut: Stop | None = None
) -> Version:
    """A new version with its tables, or the one that is being built as of this cut, or of none. Raises
    VersionRefused."""
    async with migrating(settings) as connection, connection.transaction():
        await connection.execute(f"set local role {Role.PROJECTIONS}")  # who sees whether there are rows
        await registry.register(connection, group.views)
        await connection.execute("set local role none")
        await connection.execute("select pg_advisory_xact_lock(hashtext('view_versions'), hashtext($1))", group.name)
        if (begun := await registry.begun(connection, group, max_events_per_s, cut)) is not None:
            return begun
        version = await registry.add(connection, group, max_events_per_s, cut)
        for view, table in version.tables.items():
            await tables.create_like(connection, view, table)
    return version


async def retire(settings: Settings, version: Version) -> None:
    """Drop a version that is not live, with its checkpoints. Raises VersionRefused."""
    async with migrating(settings) as connection, connection.transaction():
        now = await registry.one(connection, version.view, version.version)
        await registry.move(connection, now, State.RETIRED)
        await connection.execute(FORGET_OWN, projection_of(now.view, now.version))
        await tables.drop(connection, now.tables)


async def swap(build: Build, settings: Settings) -> Version:
    """Have a version live, in place of the one that is; the registry's new row of it. Raises VersionRefused."""

    async def exchange(connection: Connection) -> None:
        live, new = await _both(connection, build)
        parked = {view: table_of(view, live.version) for view in new.folds}
        await tables.exchange(connection, parked, new.tables)
        await registry.move(connection, live, State.READY)
        await registry.move(connection, new, State.LIVE)
        if live.keeper is Keeper.PROJECTION:
            await connection.execute(KEEP_OWN, projection_of(live.view, live.version), build.group.topics)
        stays = live.keeper is Keeper.PROJECTION and live.folds == new.folds
        await _keep(connection, new, Keeper.PROJECTION if stays else Keeper.REBUILD)
        await registry.note(connection, new, table_name=new.view, current_seen_at=None, outdated_seen_at=None)
        folds = msgspec.json.encode({**dict.fromkeys(new.folds, NOT_FILLED), **live.folds}).decode()
        await registry.note(connection, live, keeper=Keeper.REBUILD.value, table_name=parked[live.view], folds=folds)

    await _locked(build, settings, exchange)
    async with migrating(settings) as connection:
        return await registry.one(connection, build.version.view, build.version.version)


async def hand_back(build: Build, settings: Settings) -> None:
    """Have the projection keep the live version, which a rebuild has kept since its fold changed."""

    async def give(connection: Connection) -> None:
        await _keep(
            connection, await registry.one(connection, build.group.name, build.version.version), Keeper.PROJECTION
        )

    await _locked(build, settings, give)


async def follow(build: Build, settings: Settings, show: Callable[[str], None] = lambda _: None) -> None:
    """Keep a version until it is retired, or until the projection's workers have its fold and can keep it."""
    try:
        async for behind in build.steps():
            if behind <= settings.rebuild_ready_records and may_hand_back(build.version, settings):
                await hand_back(build, settings)
                show(f"{build.group.name}: the projection keeps version {build.version.version} now")
                return
    except Superseded as ended:
        show(str(ended))


def may_hand_back(version: Version, settings: Settings) -> bool:
    """Whether workers with a live version's folds are there, and none with others."""
    if version.state is not State.LIVE or version.current_seen_at is None:
        return False
    recently = utc_now() - timedelta(seconds=settings.view_hand_back_quiet_s)
    outdated = version.outdated_seen_at or version.swapped_at or version.created_at
    return version.current_seen_at > recently and outdated < recently


async def _both(connection: Connection, build: Build) -> tuple[Version, Version]:
    live = await registry.live_of(connection, build.group.name)
    new = await registry.one(connection, build.group.name, build.version.version)
    if new.state is not State.READY:
        raise VersionRefused(f"version {new.version} of {new.view} is {new.state}, not ready")
    return live, new


async def _keep(connection: Connection, version: Version, keeper: Keeper) -> None:
    await registry.note(connection, version, keeper=keeper.value)
    if keeper is Keeper.PROJECTION:
        await connection.execute(FORGET_OWN, projection_of(version.view, version.version))


async def _locked(build: Build, settings: Settings, change: Change) -> None:
    """Make a change while the projection waits and the version is exactly where it is. Tried again where that would
    have others wait for too long.
    """
    for tries_left in reversed(range(settings.view_swap_max_tries)):
        try:
            async for behind in build.steps():
                if behind <= settings.rebuild_ready_records:
                    break
            await _once(build, settings, change)
        except (NotReached, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            log.info("not swapped yet", view=build.group.name, error=repr(error), tries_left=tries_left)
            await asyncio.sleep(RETRY_PAUSE_S)
        else:
            return
    raise VersionRefused(
        f"{build.group.name}: reads that take too long, or more events than it can catch up with, left no moment for it"
    )


async def _once(build: Build, settings: Settings, change: Change) -> None:
    async with locked(build, settings) as connection:
        live = await registry.live_of(connection, build.group.name)
        names = [PROJECTION, *(projection_of(build.group.name, each) for each in (live.version, build.version.version))]
        for name in names[1:]:
            own = await connection.fetch(LOCK, name, build.group.topics)  # a process that follows it waits, too
        if {_place(row): row["next_offset"] for row in own} != build.own:
            raise NotReached
        await connection.execute(COUNT_SWAP, names, build.group.topics)
        await change(connection)


@asynccontextmanager
async def locked(build: Build, settings: Settings) -> AsyncIterator[Connection]:
    """A transaction in which the projection waits, with the version exactly where it is. Raises NotReached."""
    async with migrating(settings) as connection, connection.transaction():
        await _wait_for_locks(connection, settings.view_swap_locked_max_s)
        rows = await connection.fetch(LOCK, PROJECTION, build.group.topics)
        began_s = monotonic_s()
        await _wait_for_locks(connection, settings.view_swap_lock_timeout_s)
        applied = {_place(row): int(row["next_offset"]) for row in rows}
        limits = {each: max(applied.get(each, 0), first) for each, first in build.first.items()}
        if not await build.reach(limits, settings.view_swap_locked_max_s):
            raise NotReached
        yield connection
    waited_ms = round((monotonic_s() - began_s) * 1000, 1)
    log.info("the projection waited", view=build.group.name, version=build.version.version, waited_ms=waited_ms)


async def _wait_for_locks(connection: Connection, seconds: float) -> None:
    await connection.execute(f"set local lock_timeout = {int(seconds * 1000)}")


def _place(row: asyncpg.Record) -> Partition:
    return Partition(row["topic"], row["partition"])
