"""What is added up of a view that is rebuilt: once, from its rows, before the version is ready, whoever is cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from msgspec.structs import asdict

from events import playback as p
from events.topics import PLAYBACK
from infra.ids import new_id
from infra.postgres import Pool, connect, connect_pool, migrate
from infra.settings import Settings
from infra.view_lag import Ends
from projections.aggregating import Sums, is_empty
from projections.app import postgres_views
from projections.playback.playback_sessions import PlaybackSession
from projections.playback.title_audience import TitleAudience, TitleAudienceByHour
from projections.slabs import Checkpoint, Partition
from projections.stores.postgres import PostgresStore
from projections.stores.tables import Table
from projections.versions import changes, registry
from projections.versions.adding_up import add_up
from projections.versions.build import Build
from projections.versions.groups import Group, grouped
from projections.versions.keeping import KeptByRebuild
from projections.versions.pacing import Pace
from projections.versions.placing import Place
from projections.versions.registry import State, Version
from tests.builders import movie, playback_started, reported, session
from tests.integration.projection_workers import evening, eventually, produce

pytestmark = [pytest.mark.integration, pytest.mark.early]

APPLIED = """
    insert into projection_checkpoint (projection, topic, partition, next_offset, position)
    select 'postgres', $1, partition, next_offset, next_offset - 1
    from unnest($2::int[], $3::bigint[]) as ends(partition, next_offset)
    on conflict (projection, topic, partition) do update set next_offset = excluded.next_offset
"""


@pytest.fixture(scope="module")
async def alone(live: Settings) -> AsyncIterator[Settings]:
    """An installation with a database of its own, whose rebuilds write what they add up in several goes."""
    name, there = f"adding_up_{new_id().replace('-', '')}", urlsplit(live.postgres_dsn)
    connection = await connect(live)
    await connection.execute(f"create database {name}")
    ours = live.model_copy(
        update={
            "postgres_dsn": urlunsplit(there._replace(path=f"/{name}")),
            "rebuild_pause_lag_records": 10**9,
            "rebuild_sums_chunk_rows": 7,
            "rebuild_sums_max_rows": 20,
        }
    )
    await migrate(ours)
    yield ours
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture
async def pool(alone: Settings) -> AsyncIterator[Pool]:
    opened = await connect_pool(alone)
    yield opened
    opened.terminate()


@pytest.fixture
async def starts(alone: Settings) -> dict[Partition, Checkpoint]:
    """Where the topic ends before the test: what others left there is no part of the versions here."""
    async with Ends(alone) as ends:
        of_topic = await ends.of(PLAYBACK.name)
    return {Partition(PLAYBACK.name, number): Checkpoint(end, end - 1) for number, end in of_topic.items()}


@pytest.fixture
async def produced(alone: Settings, pool: Pool, starts: dict[Partition, Checkpoint]) -> str:
    """Events of which the projection says that it has applied them; the name of their profile."""
    name = new_id()
    await produce(alone, evening(name, sessions=30, reports=5))
    await all_applied(alone, pool)
    return name


async def all_applied(alone: Settings, pool: Pool) -> None:
    async with Ends(alone) as ends:
        of_topic = await ends.of(PLAYBACK.name)
    await pool.execute(APPLIED, PLAYBACK.name, list(of_topic), list(of_topic.values()))


@pytest.fixture
async def version(alone: Settings, produced: str, starts: dict[Partition, Checkpoint]) -> AsyncIterator[Version]:
    """One that is to be built."""
    begun = await changes.begin(alone, sessions_of(alone))
    async with storing(alone, begun) as store:
        await store.begin(starts)
    yield begun
    await changes.retire(alone, begun)


@asynccontextmanager
async def storing(alone: Settings, version: Version) -> AsyncIterator[PostgresStore]:
    """The store of a version, beside whoever builds it."""
    store = PostgresStore(alone, sessions_of(alone).views, KeptByRebuild(version))
    await store.open()
    yield store
    await store.close()


def sessions_of(alone: Settings) -> Group:
    return grouped(postgres_views(alone))["playback_sessions"]


async def rows_of(pool: Pool, table: Table) -> dict[str, Any]:
    return {record[0]: table.row_of(record) for record in await pool.fetch(table.scan)}


async def assert_added_up(pool: Pool, group: Group, version: Version) -> None:
    """Every aggregate is what its source's rows come to."""
    sessions = await rows_of(pool, Table(group.source, version.tables[group.name]))
    assert sessions
    for view in group.aggregates:
        sums: Sums[Any, Any] = Sums(view)
        for row in sessions.values():
            sums.put(row)
        expected = {key: row for key, row in sums.rows.items() if not is_empty(view, row)}
        held = await rows_of(pool, Table(view, version.tables[view.name]))
        assert {key: asdict(row) for key, row in held.items()} == {key: asdict(row) for key, row in expected.items()}


async def test_two_builds_of_one_version_add_it_up_once(alone: Settings, pool: Pool, version: Version) -> None:
    group = sessions_of(alone)
    async with Build(group, version, alone) as build, Build(group, version, alone) as other:
        await asyncio.gather(build.run(), other.run())
        assert (build.version.state, other.version.state) == (State.READY, State.READY)
    await assert_added_up(pool, group, version)


async def test_what_comes_after_it_was_added_up_is_added_as_it_comes(
    alone: Settings, pool: Pool, version: Version, produced: str
) -> None:
    group = sessions_of(alone)
    async with Build(group, version, alone) as build, Build(group, version, alone) as other:
        async for behind in other.steps():  # one that knows it as being built
            if behind == 0:
                break
        await build.run()
        late = [session(f"{produced}-late-{number}", profile_id=produced) for number in range(9)]
        await produce(alone, [event for of in late for event in (playback_started(of), reported(p.Started, 0, of=of))])
        await all_applied(alone, pool)
        async for behind in other.steps():
            if behind == 0:
                break
    await assert_added_up(pool, group, version)
    assert await pool.fetchval(
        f"select count(*) from {version.table_name} where session_id like $1", f"{produced}-late-%"
    ) == len(late)


async def test_whoever_is_cut_off_while_adding_up_leaves_a_version_that_is_being_built(
    alone: Settings, pool: Pool, version: Version
) -> None:
    group = sessions_of(alone)

    class CutOff(Exception):
        pass

    async def cut_off(_: int) -> None:
        raise CutOff

    async with Build(group, version, alone) as build:
        async for behind in build.steps():
            if behind == 0:
                break
        async with storing(alone, version) as store:
            own = await store.checkpoints(build.partitions)
            with pytest.raises(CutOff):
                await add_up(store, group, version, own, alone, cut_off)
        assert (await registry.one(pool, group.name, version.version)).state is State.BUILDING
        for view in group.aggregates:
            assert not await rows_of(pool, Table(view, version.tables[view.name]))
        await build.run()
    await assert_added_up(pool, group, version)


async def test_one_that_is_paused_while_adding_up_begins_that_again(
    alone: Settings, pool: Pool, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, hasty = sessions_of(alone), alone.model_copy(update={"rebuild_lag_poll_s": 0.01})
    between = Pace.between_chunks
    pauses: list[int] = []

    async def paused_once(pace: Pace, rows: int) -> None:
        if not pauses:
            pauses.append(rows)
            await registry.note(pool, version, paused=True)
            await asyncio.sleep(hasty.rebuild_lag_poll_s)
        await between(pace, rows)

    monkeypatch.setattr(Pace, "between_chunks", paused_once)

    async def waits() -> bool:
        return (await registry.one(pool, group.name, version.version)).waits == "paused"

    async with Build(group, version, hasty) as build:
        running = asyncio.create_task(build.run())
        await eventually(waits)
        assert (await registry.one(pool, group.name, version.version)).state is State.BUILDING
        await registry.note(pool, version, paused=False)
        await running
    await assert_added_up(pool, group, version)


class Choosy(TitleAudienceByHour):
    """Cannot be made of some sessions, once they showed a frame."""

    def contributions(self, row: PlaybackSession) -> tuple[TitleAudience]:
        if row.title_id == "poison" and row.folded.has_shown:
            raise ValueError("not this one")
        return super().contributions(row)


async def test_a_record_that_cannot_be_added_up_is_set_aside_as_the_projection_does_it(
    alone: Settings,
    pool: Pool,
    version: Version,
    produced: str,
    starts: dict[Partition, Checkpoint],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Place, "beginning", lambda _: starts)
    views = [Choosy() if isinstance(each, TitleAudienceByHour) else each for each in postgres_views(alone)]
    group = grouped(views)["playback_sessions"]
    of = session(f"{produced}-poison", profile_id=produced, title=movie("poison"))
    await produce(alone, [playback_started(of), reported(p.Started, 0, of=of), reported(p.Paused, 1, of=of)])
    await all_applied(alone, pool)
    async with Build(group, version, alone) as build:
        await build.run()
    held = await registry.one(pool, group.name, version.version)
    assert held.state is State.READY and held.records_set_aside >= 1
    row = await pool.fetchrow(
        f"select event_count, state from {version.table_name} where session_id = $1", of.session_id
    )
    assert row is not None and row["event_count"] == 2  # its start, and the pause: only the frame is set aside
    await assert_added_up(pool, group, version)
