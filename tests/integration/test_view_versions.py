"""Versions of views on real servers: rebuilt beside the live one, compared, swapped, and back, while all goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from events import playback as p
from events.topics import PLAYBACK, dead_letters_of
from infra import event_log
from infra.ids import new_id
from infra.postgres import Pool, Role, connect, connect_pool, migrate
from infra.settings import Settings
from infra.view_lag import Ends, behind
from playhead.view_versions import rebuild, show, swap
from projections.app import postgres_views
from projections.versions import anywhere, changes, registry
from projections.versions.build import Build
from projections.versions.groups import Group, grouped
from projections.versions.registry import Keeper, State, Stop, Version, VersionRefused
from projections.versions.telling import Progress
from projections.versions.verify import comparable, verify
from tests.builders import playback_started, reported, session
from tests.integration.changed_views import EVERYWHERE, changed_views
from tests.integration.projection_workers import PATIENCE_S, PlayheadProcess, Worker, evening, eventually, produce

pytestmark = [pytest.mark.integration, pytest.mark.early]

SESSIONS = "playback_sessions"


class Changed(PlayheadProcess):
    """A worker of the release with another fold."""

    module = "tests.integration.changed_views"

    def __init__(self, patient: Settings, directory: Path) -> None:
        super().__init__((), patient, directory, offsets_mirror_interval_s=1)


@pytest.fixture(scope="module")
async def patient(live: Settings) -> AsyncIterator[Settings]:
    """An installation with a database of its own, so that there is no row which no event made. Its rebuilds wait for
    nobody, and hand back soon.
    """
    name, there = f"versions_{new_id().replace('-', '')}", urlsplit(live.postgres_dsn)
    changed = {"postgres_dsn": urlunsplit(there._replace(path=f"/{name}")), "rebuild_pause_lag_records": 10**9}
    connection = await connect(live)
    await connection.execute(f"create database {name}")
    ours = live.model_copy(update={**changed, "view_hand_back_quiet_s": 4.0})
    await migrate(ours)
    await event_log.create_partitions(ours)
    yield ours
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture(scope="module")
async def pool(patient: Settings) -> AsyncIterator[Pool]:
    opened = await connect_pool(patient)
    yield opened
    opened.terminate()


@pytest.fixture
async def worker(patient: Settings, tmp_path: Path) -> AsyncIterator[Worker]:
    """The release that runs."""
    running = Worker("postgres", patient, tmp_path)
    try:
        await eventually(running.is_ready)
        yield running
    finally:
        running.close()


@pytest.fixture(autouse=True)
async def nothing_beside(pool: Pool, patient: Settings) -> AsyncIterator[None]:
    """Each test leaves nothing beside what is live."""
    yield
    for version in await registry.read(pool):
        if version.state not in (State.LIVE, State.RETIRED):
            await changes.retire(patient, version)


async def applied(live: Settings, pool: Pool) -> bool:
    async with Ends(live) as ends:
        return all(one.records == 0 for one in (await behind(ends, pool, PLAYBACK.name)).values())


async def all_applied(live: Settings, pool: Pool) -> None:
    await eventually(lambda: applied(live, pool), 4 * PATIENCE_S)  # of whatever other tests produced, too


def sessions_of(settings: Settings, *, changed: bool = False) -> Group:
    return grouped(changed_views(settings) if changed else postgres_views(settings))[SESSIONS]


async def built(settings: Settings, group: Group) -> Version:
    version = await changes.begin(settings, group)
    async with Build(group, version, settings) as build:
        await build.run()
        return build.version


async def test_every_rebuilt_view_equals_the_live_one(worker: Worker, patient: Settings, pool: Pool) -> None:
    await produce(patient, [*evening(new_id(), sessions=40, reports=30), b"poison", b"{}"])
    await all_applied(patient, pool)
    for group in grouped(postgres_views(patient)).values():
        version = await built(patient, group)
        assert version.state is State.READY
        async with Build(group, version, patient) as build:
            compared = await verify(build, patient)
        assert [each.view for each in compared if not each.equal] == [], compared
    [sessions] = [each for each in await registry.read(pool, SESSIONS) if each.state is State.READY]
    assert sessions.records_set_aside >= 2
    assert sessions.verified is not None and sessions.verified["equal"]


async def test_a_rebuild_sends_no_dead_letters(worker: Worker, patient: Settings, pool: Pool) -> None:
    await produce(patient, [b"poison"])
    await all_applied(patient, pool)
    async with Ends(patient) as ends:
        before = await ends.of(dead_letters_of(PLAYBACK.name))
        await built(patient, sessions_of(patient))
        assert await ends.of(dead_letters_of(PLAYBACK.name)) == before


async def test_a_rebuild_that_was_killed_goes_on_where_it_was(
    worker: Worker, patient: Settings, pool: Pool, tmp_path: Path
) -> None:
    await produce(patient, evening(new_id(), sessions=40, reports=30))
    await all_applied(patient, pool)

    async def begun() -> bool:
        beside = [each for each in await registry.read(pool, SESSIONS) if each.state is State.BUILDING]
        return bool(beside) and beside[0].records_done > 200

    command = ("views", "rebuild", SESSIONS)
    first = PlayheadProcess(
        (*command, "--max-events-per-s", "1000"), patient, tmp_path, rebuild_pause_lag_records=10**9
    )
    await eventually(begun)
    first.kill()
    [killed] = [each for each in await registry.read(pool, SESSIONS) if each.state is State.BUILDING]
    second = PlayheadProcess((*command, "--max-events-per-s", "1000000"), patient, tmp_path)
    assert await asyncio.to_thread(second.process.wait, 60) == 0
    [ready] = [each for each in await registry.read(pool, SESSIONS) if each.state is State.READY]
    assert ready.version == killed.version
    async with Build(sessions_of(patient), ready, patient) as build:
        assert all(each.equal for each in await verify(build, patient))


async def test_what_is_paused_stands_still_until_it_is_resumed(worker: Worker, patient: Settings, pool: Pool) -> None:
    await produce(patient, evening(new_id(), sessions=20, reports=10))
    await all_applied(patient, pool)
    version = await changes.begin(patient, sessions_of(patient))
    await registry.note(pool, version, paused=True)
    async with Build(sessions_of(patient), version, patient) as build:
        running = asyncio.create_task(build.run())
        await eventually(lambda: waits(pool, "paused"))
        assert sum(build.own.values()) == sum(build.first.values())
        await registry.note(pool, version, paused=False)
        await running
        assert build.version.state is State.READY


async def waits(pool: Pool, beginning: str) -> bool:
    beside = [each for each in await registry.read(pool, SESSIONS) if each.state is State.BUILDING]
    return (beside[0].waits or "").startswith(beginning)


async def test_a_rebuild_waits_while_the_live_views_are_behind(
    worker: Worker, patient: Settings, pool: Pool, tmp_path: Path
) -> None:
    await all_applied(patient, pool)
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        await produce(patient, evening(new_id(), sessions=20, reports=20))
        shy = patient.model_copy(update={"rebuild_pause_lag_records": 5})
        version = await changes.begin(shy, sessions_of(shy))
        seen: list[Progress] = []
        async with Build(sessions_of(shy), version, shy, seen.append) as build:
            running = asyncio.create_task(build.run())
            await eventually(lambda: waits(pool, "the live views are"))
            assert sum(build.own.values()) == sum(build.first.values())
            os.kill(worker.process.pid, signal.SIGCONT)
            await running
        held = [each for each in seen if (each.waits or "").startswith("the live views are")]
        assert {each.done for each in held} == {0}  # nothing was built for as long as they were behind
        assert seen[-1].waits is None and seen[-1].done > 0
        await all_applied(shy, pool)  # and they were not kept from coming to where Kafka is
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


async def test_a_version_is_live_only_by_legal_steps(worker: Worker, patient: Settings, pool: Pool) -> None:
    await all_applied(patient, pool)
    version = await changes.begin(patient, sessions_of(patient))
    with pytest.raises(VersionRefused, match="is building and cannot become live"):
        await registry.move(pool, version, State.LIVE)
    with pytest.raises(VersionRefused, match="is live and cannot become retired"):
        await changes.retire(patient, await registry.live_of(pool, SESSIONS))
    await changes.retire(patient, version)
    assert await pool.fetchval("select to_regclass($1)", version.table_name) is None


async def test_a_version_is_for_whom_the_live_one_is_for(worker: Worker, patient: Settings, pool: Pool) -> None:
    for group in grouped(postgres_views(patient)).values():
        version = await changes.begin(patient, group)
        for view, table in version.tables.items():
            assert await told_of(pool, table) == await told_of(pool, view), view


async def told_of(pool: Pool, table: str) -> object:
    """Who may do what with a table, which rows they see, and how it is kept."""
    policies = await pool.fetch(
        "select policyname, roles, cmd, qual, with_check from pg_policies where tablename = $1 order by 1", table
    )
    grants = await pool.fetch(
        "select grantee, privilege_type, column_name from information_schema.column_privileges "
        "where table_name = $1 order by 1, 2, 3",
        table,
    )
    kept = await pool.fetchrow(
        "select relowner, relrowsecurity, relforcerowsecurity, reloptions, "
        "(select count(*) from pg_index where indrelid = $1::regclass) from pg_class where oid = $1::regclass",
        table,
    )
    return policies, grants, kept


class Viewing:
    """Sessions that play, and somebody who reads what the query API would: counts of events, which only grow."""

    def __init__(self, patient: Settings, name: str) -> None:
        self._patient = patient
        self._sessions = [session(f"{name}-{number}", profile_id=f"{name}-{number}") for number in range(20)]
        self._ended = asyncio.Event()
        self.sent = 0
        self.reads = 0
        self.longest_s = 0.0
        self.seen: dict[str, int] = {}

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Plays and reads meanwhile; raises what a read failed with, or that it went back."""
        reading = await connect_pool(self._patient, role=Role.QUERY)
        tasks = [asyncio.create_task(self._play()), *(asyncio.create_task(self._read(reading)) for _ in range(4))]
        try:
            yield
        finally:
            self._ended.set()
            await asyncio.gather(*tasks)
            await reading.close()

    async def _play(self) -> None:
        await produce(self._patient, [playback_started(each) for each in self._sessions])
        while not self._ended.is_set():
            await produce(self._patient, [reported(p.Heartbeat, self.sent, of=each) for each in self._sessions])
            self.sent += 1

    async def _read(self, reading: Pool) -> None:
        loop = asyncio.get_running_loop()
        while not self._ended.is_set():
            began_s = loop.time()
            async with reading.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute("select set_config('playhead.scopes', 'playback:read', true)")
                for each in self._sessions:
                    before = self.seen.get(each.session_id, 0)
                    count = await connection.fetchval(
                        "select event_count from playback_sessions where session_id = $1", each.session_id
                    )
                    assert (count or 0) >= before, "a read saw less than one that ended before it began"
                    self.seen[each.session_id] = max(count or 0, self.seen.get(each.session_id, 0))
            self.reads += 1
            self.longest_s = max(self.longest_s, loop.time() - began_s)

    async def counted(self, pool: Pool) -> bool:
        """Whether every event that was sent counts, once."""
        rows = await pool.fetch(
            "select event_count from playback_sessions where session_id = any($1)",
            [each.session_id for each in self._sessions],
        )
        return [row["event_count"] for row in rows] == [self.sent + 1] * len(self._sessions)


async def test_a_version_of_the_same_fold_is_swapped_in_and_back_under_load(
    worker: Worker, patient: Settings, pool: Pool
) -> None:
    group, viewing = sessions_of(patient), Viewing(patient, new_id())
    was = await registry.live_of(pool, SESSIONS)
    async with viewing.going_on():
        version = await built(patient, group)
        for number in (version.version, was.version):
            async with Build(group, await registry.one(pool, SESSIONS, number), patient) as build:
                live = await changes.swap(build, patient)
            assert (live.version, live.keeper) == (number, Keeper.PROJECTION)
            await more_reads(viewing)
    await all_applied(patient, pool)
    assert await viewing.counted(pool)
    await eventually(worker.is_ready)


async def more_reads(viewing: Viewing) -> None:
    until = viewing.reads + 20

    async def enough() -> bool:
        return viewing.reads >= until

    await eventually(enough)


async def test_a_changed_fold_is_swapped_in_under_load_and_handed_to_its_release(
    worker: Worker, patient: Settings, pool: Pool, tmp_path: Path
) -> None:
    group, viewing = sessions_of(patient, changed=True), Viewing(patient, new_id())
    was = await registry.live_of(pool, SESSIONS)
    released: PlayheadProcess | None = None
    try:
        async with viewing.going_on():
            version = await built(patient, group)
            async with Build(group, version, patient) as build:
                compared = await verify(build, patient)
                assert {column for one in compared[0].samples for column in one.columns} == {"territory"}
                live = await changes.swap(build, patient)
                assert live.keeper is Keeper.REBUILD
                following = asyncio.create_task(changes.follow(build, patient))
                await eventually(lambda: says_why(worker))
                await more_reads(viewing)
                worker.terminate()
                released = Changed(patient, tmp_path)
                await asyncio.wait_for(following, 60)
            assert (await registry.live_of(pool, SESSIONS)).keeper is Keeper.PROJECTION
            await eventually(released.is_ready)
            await more_reads(viewing)
        await all_applied(patient, pool)
        assert await viewing.counted(pool)
        territories = await pool.fetch("select distinct territory from playback_sessions")
        assert [row["territory"] for row in territories] == [EVERYWHERE]
    finally:
        if released is not None:
            released.close()
    await rolled_back(patient, pool, was, tmp_path)


async def says_why(worker: Worker) -> bool:
    missing = await worker.ready() or {}
    return "a rebuild keeps it meanwhile" in missing.get(f"view {SESSIONS}", "")


async def rolled_back(patient: Settings, pool: Pool, was: Version, tmp_path: Path) -> None:
    """And back to the release before, with what came meanwhile."""
    viewing, again = Viewing(patient, new_id()), Worker("postgres", patient, tmp_path)
    try:
        await eventually(lambda: waits_for_its_release(again))
        async with viewing.going_on():
            before = await registry.one(pool, SESSIONS, was.version)
            async with Build(sessions_of(patient), before, patient) as build:
                await changes.swap(build, patient)
                await asyncio.wait_for(changes.follow(build, patient), 60)
            await more_reads(viewing)
        await all_applied(patient, pool)
        assert await viewing.counted(pool)
        await eventually(again.is_ready)
    finally:
        again.close()


async def waits_for_its_release(worker: Worker) -> bool:
    missing = await worker.ready() or {}
    return "nothing is written until then" in missing.get(f"view {SESSIONS}", "")


async def test_a_version_as_of_a_cut_is_what_was_live_then_and_never_live_again(
    worker: Worker, patient: Settings, pool: Pool
) -> None:
    group, name = sessions_of(patient), new_id()
    await produce(patient, evening(name, sessions=10, reports=10))
    await all_applied(patient, pool)
    then = {view: await rows_in(pool, view, view.name) for view in group.views}
    cut = Stop("this test", await applied_to(pool, group))
    more = [
        reported(p.Heartbeat, 50, of=session(f"{name}-{n}", profile_id=f"{name}-profile-{n // 2}")) for n in range(10)
    ]
    await produce(patient, [*more, *evening(new_id(), sessions=5, reports=5)])
    await all_applied(patient, pool)
    version = await changes.begin(patient, group, cut=cut)
    assert (await changes.begin(patient, group, cut=cut)).version == version.version  # whoever was killed goes on
    async with Build(group, version, patient) as build:
        await build.run()
        assert build.version.state is State.INSPECTION
        assert {view: await rows_in(pool, view, version.tables[view.name]) for view in group.views} == then
        assert then[group.source] != await rows_in(pool, group.source, SESSIONS)
        for refused in (
            anywhere.swap(build, patient),
            anywhere.verify(build, patient),
            anywhere.follow(build, patient),
        ):
            with pytest.raises(VersionRefused, match="an inspection as of this test"):
                await refused
    with pytest.raises(VersionRefused, match="inspection and cannot become live"):
        await registry.move(pool, version, State.LIVE)
    with pytest.raises(VersionRefused, match="no version beside the live one"):
        await swap(patient, SESSIONS, None, force=True)
    [shown] = await show(patient, SESSIONS, None, [f"session={name}-0"], 10)
    assert shown["session_id"] == f"{name}-0"
    await rebuild(patient, SESSIONS, None, "2020-01-01T00:00:00Z")  # before anything was taken
    assert await show(patient, SESSIONS, None, [], 10) == []


async def applied_to(pool: Pool, group: Group) -> dict[str, int]:
    """How far the projection is, as a cut names it."""
    rows = await pool.fetch(
        "select topic, partition, next_offset from projection_checkpoint "
        "where projection = 'postgres' and topic = any($1)",
        group.topics,
    )
    return {f"{row['topic']}:{row['partition']}": row["next_offset"] for row in rows}


async def rows_in(pool: Pool, view: Any, table: str) -> set[str]:
    """Every row of a table, as text, but for what a moment may leave in it."""
    listed = ", ".join(f'"{column}"' for column in comparable(view))
    return {row["row"] for row in await pool.fetch(f"select row({listed})::text as row from {table}")}
