"""Versions of views in the stores that say themselves which one is live: rebuilt beside it, compared, swapped in and
back, and dropped, while all goes on. What is the same for Postgres is in test_view_versions.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest

from events import playback as p
from events.playback import SessionSnapshot
from events.topics import PLAYBACK
from infra import live_views, redis
from infra.cassandra import Cassandra
from infra.ids import new_id
from infra.migrate import migrate
from infra.postgres import Pool, connect, connect_pool
from infra.settings import Settings
from infra.view_lag import Ends
from playhead.view_versions import follow, groups_of, mirror, show
from projections.slabs import Partition
from projections.versions import anywhere, registry
from projections.versions.build import Build
from projections.versions.folded_into import projection_of_store
from projections.versions.groups import Group, grouped
from projections.versions.registry import Keeper, State, Stop, Version, VersionRefused
from query_api.drivers import cassandra_driver, redis_driver
from tests.builders import playback_started, reported, session
from tests.integration.changed_hot_views import changed_views
from tests.integration.projection_workers import PATIENCE_S, PlayheadProcess, evening, eventually, produce

pytestmark = [pytest.mark.integration, pytest.mark.early]

OURS: Final = 14
"""The number of the Redis database that no other test looks at."""
LONG_S: Final = 4 * PATIENCE_S  # of whatever other tests produced, too
TOLD: Final = (
    "cassandra_keyspace",
    "query_timeout_s",
    "rebuild_pause_lag_records",
    "view_hand_back_quiet_s",
    "view_live_kept_s",
)
Read = Callable[[SessionSnapshot], Awaitable[int]]
"""How far a session is: what grows with each of its events."""


class Kind(NamedTuple):
    """A store, the view of it that is rebuilt, and how old what is read of a version may be after another took over."""

    store: str
    view: str
    name_column: str
    stale_s: float


REDIS: Final = Kind("redis", "continue_watching", "name", 0.5)
CASSANDRA: Final = Kind("cassandra", "session_timeline", "title_name", 5.0)
KINDS: Final = [REDIS, CASSANDRA]
LATEST: Final = "select seq from session_timeline where session_id = ? order by seq desc limit 1"


@pytest.fixture(scope="module")
async def patient(live: Settings) -> AsyncIterator[Settings]:
    """An installation with stores of its own. Its rebuilds wait for nobody, and hand back soon."""
    name = f"versions_{new_id().replace('-', '')}"
    changed = {
        "postgres_dsn": urlunsplit(urlsplit(live.postgres_dsn)._replace(path=f"/{name}")),
        "redis_url": urlunsplit(urlsplit(live.redis_url)._replace(path=f"/{OURS}")),
        "rebuild_pause_lag_records": 10**9,
        "view_hand_back_quiet_s": 4.0,
        "view_verify_again_max": 20_000,  # more than the rows that change meanwhile
        "view_live_kept_s": REDIS.stale_s,
        "query_timeout_s": 5.0,
        "cassandra_keyspace": name,
    }
    connection, ours = await connect(live), live.model_copy(update=changed)
    await connection.execute(f"create database {name}")
    await migrate(ours, lambda _: None)
    client = redis.connect(ours)
    await client.flushdb()
    yield ours
    await client.flushdb()
    await client.aclose()
    cassandra = await Cassandra.connect(live.model_copy(update={"query_timeout_s": PATIENCE_S}))
    await cassandra.execute(f"drop keyspace {name}")
    await cassandra.close()
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest.fixture(scope="module")
async def pool(patient: Settings) -> AsyncIterator[Pool]:
    opened = await connect_pool(patient)
    yield opened
    opened.terminate()


@pytest.fixture(params=KINDS, ids=[each.store for each in KINDS])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


class Release(PlayheadProcess):
    """A process of this installation; one that is `changed` is a worker of the release with other folds."""

    def __init__(self, patient: Settings, directory: Path, *arguments: str, changed: bool = False) -> None:
        self.module = "tests.integration.changed_hot_views" if changed else "playhead"
        told = {name: getattr(patient, name) for name in TOLD}
        super().__init__(arguments, patient, directory, offsets_mirror_interval_s=1, **told)


@pytest.fixture
async def worker(patient: Settings, kind: Kind, tmp_path: Path) -> AsyncIterator[Release]:
    """The release that runs."""
    running = Release(patient, tmp_path, "projections", kind.store)
    try:
        await eventually(running.is_ready)
        yield running
    finally:
        running.close()


@pytest.fixture(autouse=True)
async def nothing_beside(pool: Pool, patient: Settings, kind: Kind) -> AsyncIterator[None]:
    """Each test leaves nothing beside what is live."""
    yield
    for version in await registry.read(pool, kind.view):
        if version.state not in (State.LIVE, State.RETIRED):
            with suppress(VersionRefused):  # what was emptied has its first version live again
                await anywhere.retire(patient, group_of(patient, kind), version)


def group_of(settings: Settings, kind: Kind, *, changed: bool = False) -> Group:
    if changed:
        return grouped(changed_views(kind.store, settings), kind.store)[kind.view]
    return groups_of(settings)[kind.view]


async def built(settings: Settings, group: Group) -> Version:
    version = await anywhere.begin(settings, group)
    async with Build(group, version, settings) as build:
        await build.run()
        return build.version


async def differing(settings: Settings, group: Group, version: Version) -> set[str]:
    """The columns in which a version differs from the live one; all if there are other rows in it."""
    async with Build(group, version, settings) as build:
        [compared] = await anywhere.verify(build, settings)
    assert compared.equal == (not compared.samples)
    assert compared.rows, "there is something to compare"
    print(compared)  # what differs, when a test fails
    return {column for one in compared.samples for column in list(one.columns) or ["a row"]}


class Viewing:
    """Sessions that play, and somebody who reads what the query API would: what grows with each event."""

    def __init__(self, patient: Settings, kind: Kind) -> None:
        name = new_id()
        self._patient = patient
        self._kind = kind
        self._sessions = [session(f"{name}-{number}", profile_id=f"{name}-{number}") for number in range(10)]
        self._ended = asyncio.Event()
        self._looked_at = asyncio.Event()
        self._seen: dict[str, list[tuple[float, int]]] = {each.session_id: [(0.0, -1)] for each in self._sessions}
        self.sent = 0
        self.reads = 0

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Plays and reads meanwhile; raises what a read failed with, or that it was older than it may be."""
        async with AsyncExitStack() as opened:
            readers = [await opened.enter_async_context(reading(self._patient, self._kind)) for _ in range(2)]
            tasks = [asyncio.create_task(self._play()), *(asyncio.create_task(self._read(read)) for read in readers)]
            try:
                yield
                await self.more_reads()
            finally:
                self._ended.set()
                self._looked_at.set()
                await asyncio.gather(*tasks)

    async def _play(self) -> None:
        await produce(self._patient, [playback_started(each) for each in self._sessions])
        while not self._ended.is_set():
            await produce(self._patient, [reported(p.Heartbeat, self.sent, of=each) for each in self._sessions])
            self.sent += 1
            self._looked_at.clear()
            if not self._ended.is_set():
                await self._looked_at.wait()

    async def _read(self, read: Read) -> None:
        loop = asyncio.get_running_loop()
        while not self._ended.is_set():
            for each in self._sessions:
                began_s, seen = loop.time(), self._seen[each.session_id]
                value = await read(each)
                settled = [known for at_s, known in seen if at_s <= began_s - self._kind.stale_s]
                assert value >= max(settled, default=-1), "a read saw less than one so long before"
                seen.append((loop.time(), value))
                del seen[: max(len(settled) - 1, 0)]
                seen[0] = (seen[0][0], max(settled, default=-1))
            self.reads += 1
            self._looked_at.set()

    async def more_reads(self) -> None:
        """Return when there were some."""
        until = self.reads + 20

        async def enough() -> bool:
            return self.reads >= until

        await eventually(enough)

    async def all_is_there(self) -> bool:
        """Whether every event that was sent can be read."""
        async with reading(self._patient, self._kind) as read:
            return [await read(each) for each in self._sessions] == [self.sent - 1] * len(self._sessions)


@asynccontextmanager
async def reading(patient: Settings, kind: Kind) -> AsyncIterator[Read]:
    """Reads as the query API does: the seq that a session has come to."""
    waiting = patient.model_copy(update={"query_timeout_s": PATIENCE_S})  # a busy machine fails no read
    driver = redis_driver(waiting) if kind is REDIS else cassandra_driver(waiting)
    client: Any = await driver.connect()

    async def bookmark(of: SessionSnapshot) -> int:
        values = await client.values(f"continue_watching:{{{of.profile_id}}}")
        return max([int(json.loads(value.split(b":", 2)[2])["seq"]) for value in values], default=-1)

    async def latest(of: SessionSnapshot) -> int:
        return max([int(row["seq"]) for row in await client.rows(LATEST, of.session_id)], default=-1)

    yield bookmark if kind is REDIS else latest
    await driver.close(client)


async def names_in(patient: Settings, kind: Kind) -> list[str]:
    """Under which names there are rows of any version."""
    if kind is CASSANDRA:
        cassandra = await Cassandra.connect(patient)
        tables = list(cassandra.session.cluster.metadata.keyspaces[patient.cassandra_keyspace].tables)
        await cassandra.close()
        return sorted(name for name in tables if name.startswith(kind.view))
    client = redis.connect(patient)
    keys = [str(key, "utf-8") async for key in client.scan_iter(f"{kind.view}*", count=1000)]
    await client.aclose()
    return sorted({key.partition(":")[0] for key in keys})


async def test_a_changed_fold_is_swapped_in_under_load_and_handed_to_its_release(
    worker: Release, kind: Kind, patient: Settings, pool: Pool, tmp_path: Path
) -> None:
    group, viewing = group_of(patient, kind, changed=True), Viewing(patient, kind)
    await produce(patient, [*evening(new_id(), sessions=10, reports=10), b"poison"])
    released: Release | None = None
    try:
        async with viewing.going_on():
            version = await built(patient, group)
            assert await differing(patient, group, version) == {kind.name_column}
            was = await registry.live_of(pool, kind.view)
            async with Build(group, version, patient) as build:
                live = await anywhere.swap(build, patient)
                assert (live.version, live.keeper) == (version.version, Keeper.REBUILD)
                following = asyncio.create_task(anywhere.follow(build, patient))
                await eventually(lambda: says(worker, kind, "a rebuild keeps it meanwhile"))
                await viewing.more_reads()
                worker.terminate()
                released = Release(patient, tmp_path, kind.store, changed=True)
                await asyncio.wait_for(following, LONG_S)
            assert (await registry.live_of(pool, kind.view)).keeper is Keeper.PROJECTION
            await eventually(released.is_ready)
            await viewing.more_reads()
        await eventually(viewing.all_is_there)
        from_zero = await built(patient, group)
        assert await differing(patient, group, from_zero) == set()
    finally:
        if released is not None:
            released.close()
    await rolled_back(patient, pool, kind, was, tmp_path)


async def rolled_back(patient: Settings, pool: Pool, kind: Kind, was: Version, tmp_path: Path) -> None:
    """And back to the release before, with what came meanwhile."""
    group, viewing, again = (
        group_of(patient, kind),
        Viewing(patient, kind),
        Release(patient, tmp_path, "projections", kind.store),
    )
    try:
        await eventually(lambda: says(again, kind, "nothing is written until then"))
        before = await registry.one(pool, kind.view, was.version)
        async with viewing.going_on(), Build(group, before, patient) as build:
            await anywhere.swap(build, patient)
            await asyncio.wait_for(anywhere.follow(build, patient), LONG_S)
        await eventually(viewing.all_is_there)
        await eventually(again.is_ready)
        for version in await registry.read(pool, kind.view):
            if version.state is State.READY:
                await anywhere.retire(patient, group, version)
        assert await names_in(patient, kind) == [kind.view]
    finally:
        again.close()


async def says(worker: Release, kind: Kind, what: str) -> bool:
    missing = await worker.ready() or {}
    return what in missing.get(f"view {kind.view}", "")


@pytest.mark.parametrize("kind", [CASSANDRA], ids=["cassandra"], indirect=True)
async def test_a_rebuild_and_a_rollback_that_are_killed_go_on_under_load(
    worker: Release, kind: Kind, patient: Settings, pool: Pool, tmp_path: Path
) -> None:
    group, viewing = group_of(patient, kind), Viewing(patient, kind)
    await produce(patient, evening(new_id(), sessions=20, reports=30))
    command = ("views", "rebuild", kind.view, "--max-events-per-s")
    async with viewing.going_on():
        first = Release(patient, tmp_path, *command, "300")
        await eventually(lambda: begun(pool, kind))
        first.kill()
        was = await registry.live_of(pool, kind.view)
        second = Release(patient, tmp_path, *command, "1000000")
        assert await asyncio.to_thread(second.process.wait, LONG_S) == 0
        [version] = [each for each in await registry.read(pool, kind.view) if each.state is State.READY]
        assert await differing(patient, group, version) == set()
        async with Build(group, version, patient) as build:
            live = await anywhere.swap(build, patient)
        assert (live.version, live.keeper) == (version.version, Keeper.PROJECTION)
        third = Release(patient, tmp_path, "views", "rollback", kind.view)
        await eventually(lambda: is_handed_over(patient, kind, was))
        third.kill()
        await viewing.more_reads()
        await asyncio.wait_for(follow(patient, kind.view), LONG_S)
        live = await registry.live_of(pool, kind.view)
        assert (live.version, live.keeper) == (was.version, Keeper.PROJECTION)
    await eventually(viewing.all_is_there)
    await eventually(worker.is_ready)
    with pytest.raises(VersionRefused, match="is live and cannot become retired"):
        await anywhere.retire(patient, group, was)


async def is_handed_over(patient: Settings, kind: Kind, to: Version) -> bool:
    """Whether a version is live, and not every worker knows it."""
    async with anywhere.home_of(patient, kind.store) as home:
        live = await home.live(kind.view)
    return live.version == to.version and live.keeper is live_views.Keeper.BOTH


async def begun(pool: Pool, kind: Kind) -> bool:
    beside = [each for each in await registry.read(pool, kind.view) if each.state is State.BUILDING]
    return bool(beside) and beside[0].records_done > 50


@pytest.mark.parametrize("kind", [REDIS], ids=["redis"], indirect=True)
async def test_a_redis_that_comes_back_empty_is_filled_again_and_so_is_what_is_being_built(
    worker: Release, kind: Kind, patient: Settings, pool: Pool
) -> None:
    group, viewing = group_of(patient, kind), Viewing(patient, kind)
    async with viewing.going_on():
        version = await built(patient, group)
        async with Build(group, version, patient) as build:
            await anywhere.swap(build, patient)
    await eventually(viewing.all_is_there)
    building = await anywhere.begin(patient, group)
    client = redis.connect(patient)
    async with Build(group, building, patient) as build:
        running = asyncio.create_task(build.run())
        await client.flushdb()
        await client.aclose()
        await running
    await eventually(viewing.all_is_there)
    assert await differing(patient, group, building) == set()
    await mirror(patient)
    states = {each.version: each.state for each in await registry.read(pool, kind.view)}
    assert (states[1], states[version.version]) == (State.LIVE, State.RETIRED)


async def test_a_version_as_of_a_cut_ends_there_and_is_never_live(
    worker: Release, kind: Kind, patient: Settings, pool: Pool
) -> None:
    group, seen = group_of(patient, kind), session(new_id(), profile_id=new_id())
    await produce(patient, [playback_started(seen), reported(p.Heartbeat, 1, of=seen)])
    async with reading(patient, kind) as read:
        await eventually(lambda: reached(read, seen, 1), LONG_S)
        ends = await applied_to(patient, kind)
        await produce(patient, [reported(p.Heartbeat, 2, of=seen)])
        await eventually(lambda: reached(read, seen, 2), LONG_S)
    version = await anywhere.begin(patient, group, cut=Stop("this test", ends))
    async with Build(group, version, patient) as build:
        await build.run()
        assert build.version.state is State.INSPECTION
        with pytest.raises(VersionRefused, match="an inspection as of this test"):
            await anywhere.swap(build, patient)
    key = f"profile={seen.profile_id}" if kind is REDIS else f"session={seen.session_id}"
    rows = await show(patient, kind.view, None, [key], 100)
    assert max(row["seq"] for row in rows) == 1


async def applied_to(patient: Settings, kind: Kind) -> dict[str, int]:
    """How far the projection is, as a cut names it."""
    projection = projection_of_store(patient, kind.store)
    assert projection is not None
    await projection.open()
    async with Ends(patient) as ends:
        partitions = [Partition(PLAYBACK.name, each) for each in await ends.of(PLAYBACK.name)]
    held = await projection.checkpoints(partitions)
    await projection.close()
    return {f"{each.topic}:{each.partition}": at.next_offset for each, at in held.items()}


async def reached(read: Read, of: SessionSnapshot, seq: int) -> bool:
    return await read(of) >= seq
