"""Projections on real servers: exactly once through kills, rebalances, poison, and stores that stop or lose all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from events.envelope import encode
from infra.cassandra import Cassandra
from infra.postgres import Pool
from infra.redis import Redis, connect
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views
from projections.stores.cassandra import CassandraStore
from projections.stores.postgres import PostgresStore
from projections.stores.redis import RedisStore
from projections.stores.tables import Table
from tests.builders import movie, reported, session
from tests.integration.projection_workers import Worker, begin_here, evening, eventually, produce
from tests.integration.query_api_stores import OPERATOR, running_query_api
from tests.servers import Servers

pytestmark = pytest.mark.integration

SESSIONS, REPORTS = 100, 99
EVENTS = SESSIONS * (REPORTS + 1)


class Fleet:
    """One worker a store, started again when a test ended it."""

    def __init__(self, live: Settings, directory: Path) -> None:
        self._live = live
        self._directory = directory
        self.workers: dict[str, Worker] = {}
        self._started: list[Worker] = []

    def start(self, store: str) -> Worker:
        """Another worker of a store."""
        worker = Worker(store, self._live, self._directory)
        self._started.append(worker)
        return worker

    async def up(self) -> None:
        """Have one of each running and ready."""
        for store in ("postgres", "cassandra", "redis"):
            if store not in self.workers or self.workers[store].process.poll() is not None:
                self.workers[store] = self.start(store)
        for worker in self.workers.values():
            await eventually(worker.is_ready)

    def close(self) -> None:
        """End all."""
        for worker in self._started:
            worker.close()


@pytest.fixture(scope="module")
async def shared_fleet(live: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    await begin_here(live, PostgresStore(live, ()), CassandraStore(live, ()), RedisStore(live, ()))
    fleet = Fleet(live, tmp_path_factory.mktemp("projections"))
    yield fleet
    fleet.close()


@pytest.fixture
async def fleet(shared_fleet: Fleet) -> Fleet:
    await shared_fleet.up()
    return shared_fleet


@pytest.fixture(scope="module")
async def cassandra(live: Settings) -> AsyncIterator[Cassandra]:
    connected = await Cassandra.connect(live)
    yield connected
    await connected.close()


@pytest.fixture(scope="module")
async def redis(live: Settings) -> AsyncIterator[Redis]:
    client = connect(live)
    yield client
    await client.aclose()


class Views:
    """What the stores hold of the sessions whose ids begin with a prefix."""

    def __init__(self, postgres: Pool, cassandra: Cassandra, redis: Redis) -> None:
        self._postgres = postgres
        self._cassandra = cassandra
        self._redis = redis

    async def counted(self, prefix: str) -> int:
        """Events, as the session rows count them."""
        sql = "select coalesce(sum(event_count), 0)::int from playback_sessions where session_id like $1"
        return int(await self._postgres.fetchval(sql, f"{prefix}-%"))

    async def sessions(self, prefix: str) -> set[tuple[int, int, int]]:
        """How sessions are: (event_count, last_seq, position_ms)."""
        sql = "select distinct event_count, last_seq, position_ms from playback_sessions where session_id like $1"
        return {tuple(row) for row in await self._postgres.fetch(sql, f"{prefix}-%")}

    async def timeline(self, prefix: str) -> int:
        """Entries in the timelines."""
        cql = "select count(*) as n from session_timeline where session_id = %s"
        asked = [self._cassandra.execute(cql, (f"{prefix}-{number}",)) for number in range(SESSIONS)]
        return sum([(await each)[0]["n"] for each in asked])

    async def history(self, prefix: str, profile: int) -> list[tuple[str, int]]:
        """Sessions of a profile and where they are."""
        cql = "select session_id, position_ms from watch_history where profile_id = %s and month = %s"
        rows = await self._cassandra.execute(cql, (f"{prefix}-profile-{profile}", "2026-11"))
        return [(row["session_id"], row["position_ms"]) for row in rows]

    async def bookmarks(self, prefix: str) -> dict[str, int]:
        """Where each profile is in the film, by profile."""
        positions = {}
        for number in range(SESSIONS // 2):
            value = await self._redis.hget(f"continue_watching:{{{prefix}-profile-{number}}}", movie().title_id)
            if value is not None:
                assert isinstance(value, bytes)
                positions[f"{number}"] = msgspec.json.decode(value.split(b":", 2)[2])["position_ms"]
        return positions


@pytest.fixture
def views(postgres: Pool, cassandra: Cassandra, redis: Redis) -> Views:
    return Views(postgres, cassandra, redis)


LAST_MS = (REPORTS - 1) * 10_000


async def test_every_view_is_exact_though_each_worker_is_killed_in_the_middle(
    live: Settings, fleet: Fleet, views: Views
) -> None:
    events = evening("kill", sessions=SESSIONS, reports=REPORTS)
    for begin, end in ((0, 4_000), (4_000, 8_000)):
        counted = await views.counted("kill")
        producing = asyncio.create_task(produce(live, events[begin:end], pause_every=250))
        await eventually(partial(_more, partial(views.counted, "kill"), counted))
        for worker in fleet.workers.values():
            worker.kill()
        await producing
        await fleet.up()
    await produce(live, events[8_000:])

    async def all_there() -> bool:
        return (await views.counted("kill"), await views.timeline("kill")) == (EVENTS, EVENTS)

    await eventually(all_there)
    assert await views.sessions("kill") == {(REPORTS + 1, REPORTS - 1, LAST_MS)}
    assert sorted(await views.history("kill", 3)) == [("kill-6", LAST_MS), ("kill-7", LAST_MS)]
    await eventually(lambda: _is(views.bookmarks("kill"), {str(n): LAST_MS for n in range(SESSIONS // 2)}))


async def test_workers_share_partitions_and_one_may_leave(live: Settings, fleet: Fleet, views: Views) -> None:
    producing = asyncio.create_task(
        produce(live, evening("share", sessions=SESSIONS, reports=REPORTS), pause_every=200)
    )
    second = fleet.start("postgres")

    async def shares() -> bool:
        return await second.is_ready() and await second.metric("playhead_projection_records_total") > 0

    await eventually(shares)
    assert fleet.workers["postgres"].terminate() == 0
    fleet.workers["postgres"] = second
    await producing
    await eventually(lambda: _is(views.counted("share"), EVENTS))
    assert await views.sessions("share") == {(REPORTS + 1, REPORTS - 1, LAST_MS)}


async def test_poison_is_set_aside_by_each_store_that_cannot_take_it(
    live: Settings, fleet: Fleet, views: Views, postgres: Pool
) -> None:
    ancient = encode(reported(of=session("poison-old", profile_id="poison"))).replace(
        b'"started_at":"2026-11-21T19:00:00Z"', b'"started_at":"0001-01-01T00:00:00+10:00"'
    )
    poison = {
        "undecodable": b"{not json",
        "unknown_type": encode(reported()).replace(b"PlaybackProgressed.v1", b"PlaybackTeleported.v1"),
        "nul": encode(reported(of=session("poison-nul", profile_id="poison", title=movie(name="a\0b")))),
        "huge": encode(reported(of=session("poison-huge", profile_id="poison", title=movie(duration_ms=2**63)))),
        "ancient": ancient,
    }
    neighbours = evening("beside", sessions=20, reports=9)
    await produce(live, [*neighbours[:100], *poison.values(), *neighbours[100:]])
    await eventually(lambda: _is(views.counted("beside"), 200))

    async def letters() -> set[tuple[str, str, bytes]]:
        rows = await postgres.fetch("select projection, reason, body from dead_letters where topic = 'playback.events'")
        return {(row["projection"], row["reason"], row["body"]) for row in rows}

    expected = {
        *((store, "undecodable", poison["undecodable"]) for store in fleet.workers),
        *((store, "unknown_type", poison["unknown_type"]) for store in fleet.workers),
        ("postgres", "store_refused", poison["nul"]),
        ("postgres", "store_refused", poison["huge"]),
        ("postgres", "store_refused", poison["ancient"]),
        ("cassandra", "store_refused", poison["huge"]),
        ("cassandra", "fold_failed", poison["ancient"]),
    }

    async def all_set_aside() -> bool:
        return expected <= await letters()

    await eventually(all_set_aside)
    of_poison = {letter for letter in await letters() if letter[2] in poison.values()}
    assert of_poison == expected
    assert await fleet.workers["postgres"].metric("playhead_projection_dead_letters_total", reason="store_refused") == 3


@pytest.mark.parametrize("away", ["stop", "pause"])
async def test_while_kafka_is_away_no_projection_is_ready_and_all_are_once_it_is_back(
    fleet: Fleet, servers: Servers, away: str
) -> None:
    getattr(servers, away)("kafka")
    try:
        for worker in fleet.workers.values():
            await eventually(partial(_misses, worker, "kafka"), patience_s=15)
    finally:
        getattr(servers, {"stop": "start", "pause": "resume"}[away])("kafka")
    for worker in fleet.workers.values():
        await eventually(worker.is_ready)


async def test_postgres_may_stop_and_come_back_and_the_other_stores_go_on(
    live: Settings, fleet: Fleet, views: Views, servers: Servers, postgres: Pool
) -> None:
    before = await postgres.fetchval("select count(*) from dead_letters")
    events = evening("outage", sessions=SESSIONS, reports=REPORTS)
    await produce(live, events[:3_000])
    servers.stop("postgres")
    try:
        await produce(live, events[3_000:])
        await eventually(lambda: _is(views.timeline("outage"), EVENTS))
        await eventually(lambda: _is(views.bookmarks("outage"), {str(n): LAST_MS for n in range(SESSIONS // 2)}))
        assert "postgres" in (await fleet.workers["postgres"].ready() or {})
        assert await fleet.workers["postgres"].metric("playhead_projection_store_retries_total") > 0
        assert await fleet.workers["redis"].is_ready()
    finally:
        servers.start("postgres")
    await eventually(lambda: _is(views.counted("outage"), EVENTS))
    await eventually(fleet.workers["postgres"].is_ready)
    assert await postgres.fetchval("select count(*) from dead_letters") == before


async def test_an_emptied_redis_is_filled_again_and_readers_are_told_until_it_is(
    live: Settings, fleet: Fleet, views: Views, redis: Redis
) -> None:
    await produce(live, evening("flush", sessions=SESSIONS, reports=20))
    expected = {str(n): 190_000 for n in range(SESSIONS // 2)}
    await eventually(lambda: _is(views.bookmarks("flush"), expected))
    async with running_query_api(live) as api:

        async def seen() -> tuple[bool, list[int]]:
            reply = await api.get("/v1/profiles/flush-profile-7/continue-watching", OPERATOR)
            shown = reply.json()
            return shown["complete"], [row["position_ms"] for row in shown["items"]]

        async def is_whole() -> bool:
            complete, positions = await seen()
            assert not complete or positions == [190_000]
            return complete

        await eventually(is_whole)
        fleet.workers["redis"].terminate()
        await redis.flushall()
        assert await seen() == (False, [])
        await fleet.up()
        await eventually(is_whole)
    await eventually(lambda: _is(views.bookmarks("flush"), expected))


async def test_tables_are_what_their_views_declare(live: Settings, postgres: Pool, cassandra: Cassandra) -> None:
    for view in postgres_views(live):
        rows = await postgres.fetch(
            """select column_name, data_type from information_schema.columns
               where table_name = $1 and is_generated = 'NEVER' and is_identity = 'NO'""",
            view.name,
        )
        types = {"timestamp with time zone": "timestamptz", "integer": "bigint"}
        real = {row["column_name"]: types.get(row["data_type"], row["data_type"]) for row in rows}
        assert Table(view).stored == real
    for series in cassandra_views(live):
        rows_of = await cassandra.execute(
            "select column_name, kind from system_schema.columns where keyspace_name = %s and table_name = %s",
            (live.cassandra_keyspace, series.name),
        )
        assert {row["column_name"] for row in rows_of} == set(series.row.__struct_fields__)
        key = {row["column_name"]: row["kind"] for row in rows_of if row["kind"] in ("partition_key", "clustering")}
        assert {name for name, kind in key.items() if kind == "partition_key"} == set(series.bucket)
        assert {name for name, kind in key.items() if kind == "clustering"} == set(series.key)


async def _more(count: Callable[[], Awaitable[int]], than: int) -> bool:
    return await count() > than


async def _is(asked: Awaitable[object], expected: object) -> bool:
    return await asked == expected


async def _misses(worker: Worker, name: str) -> bool:
    return name in (await worker.ready() or {})
