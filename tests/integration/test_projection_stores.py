"""The engine on each real store: what its transactions, timestamps and Lua functions promise."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from events import playback as p
from events.identity import SignedOut
from events.types import AccountId, DeviceId, SignInId
from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import Redis, connect
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views, token_lifetimes
from projections.engine import Engine
from projections.errors import StoreEmptied
from projections.identity.revoked import CLOCKS_APART_S
from projections.slabs import Checkpoint, Partition
from projections.stores.cassandra import CassandraStore
from projections.stores.postgres import PostgresStore
from projections.stores.redis import CHECKPOINTS, MOVED, RedisStore
from tests.builders import EVENING, MINUTE_MS, envelope, movie, movie_published, reported, session
from tests.projections.folds import FakeLetters, record, slab
from tests.projections.test_aggregates import PlaysByTitle

pytestmark = pytest.mark.integration

NOBODY_S = 9_000  # a partition that no topic has: the checkpoints of real ones are not touched
PLAYBACK = Partition("playback.events", NOBODY_S)
CATALOG = Partition("catalog.events", NOBODY_S)
IDENTITY = Partition("identity.events", NOBODY_S)
BEGUN = {each: Checkpoint(0, -1) for each in (PLAYBACK, CATALOG, IDENTITY)}


class Running:
    """An engine on a store."""

    def __init__(self, store: Any, views: Any) -> None:
        self.store = store
        self.letters = FakeLetters()
        self.engine = Engine[Any](store, views, self.letters)

    async def apply(self, partition: Partition, *records: Any) -> Any:
        return await self.engine.apply([slab(partition, records)])


@pytest.fixture
async def in_postgres(live: Settings, postgres: Pool) -> AsyncIterator[Running]:
    views = postgres_views(live)
    store = PostgresStore(live, views)
    await store.open()
    await postgres.execute("delete from projection_checkpoint where partition = $1", NOBODY_S)
    await store.begin(BEGUN)
    yield Running(store, views)
    await postgres.execute("delete from projection_checkpoint where partition = $1", NOBODY_S)
    await store.close()


@pytest.fixture
async def in_redis(live: Settings, redis: Redis) -> AsyncIterator[Running]:
    views = redis_views(live.model_copy(update={"continue_watching_max_rows": 3}))
    store = RedisStore(live, views)
    await store.open()
    await store.begin(BEGUN)
    yield Running(store, views)
    for name in (CHECKPOINTS, MOVED):
        await redis.hdel(name, *(f"{each.topic}:{each.partition}" for each in BEGUN))
    await store.close()


@pytest.fixture
async def in_cassandra(live: Settings) -> AsyncIterator[Running]:
    views = cassandra_views(live)
    store = CassandraStore(live, views)
    await store.open()
    await store.begin(BEGUN)
    yield Running(store, views)
    await store.close()


@pytest.fixture
async def redis(live: Settings) -> AsyncIterator[Redis]:
    client = connect(live)
    yield client
    await client.aclose()


@pytest.fixture
def own() -> str:
    """A name that only this test uses."""
    return new_id()


async def test_postgres_drops_a_record_that_was_relayed_twice(in_postgres: Running, postgres: Pool, own: str) -> None:
    await in_postgres.apply(CATALOG, record(0, movie_published(own), position=41))
    await in_postgres.apply(
        CATALOG,
        record(1, movie_published(own, name="relayed again"), position=41),
        record(2, movie_published(own + "-2"), position=42),
    )
    names = await postgres.fetch("select name from catalog_titles where title_id = $1", own)
    assert [row["name"] for row in names] == ["Night of the Living Dead"]
    assert await in_postgres.store.checkpoints([CATALOG]) == {CATALOG: Checkpoint(3, 42)}


async def test_postgres_lets_one_of_two_workers_apply_a_record(in_postgres: Running, postgres: Pool, own: str) -> None:
    records = [record(at, reported(p.Heartbeat, at, of=session(own))) for at in range(50)]
    other = Running(in_postgres.store, postgres_views(Settings()))
    await asyncio.gather(in_postgres.apply(PLAYBACK, *records), other.apply(PLAYBACK, *records))
    row = await postgres.fetchrow("select event_count from playback_sessions where session_id = $1", own)
    assert row is not None
    assert row["event_count"] == 50


async def test_postgres_adds_up_what_workers_of_several_partitions_give_at_once(
    live: Settings, postgres: Pool, own: str
) -> None:
    await postgres.execute(
        "create table plays_by_title (title_id text primary key, plays bigint, watched_ms bigint, quarters jsonb, "
        "devices jsonb); grant all on plays_by_title to playhead_projections"
    )
    views = [*postgres_views(live), PlaysByTitle()]
    store = PostgresStore(live, views)
    partitions = [Partition("playback.events", NOBODY_S + number) for number in range(6)]
    try:
        await store.open()
        await store.begin({each: Checkpoint(0, -1) for each in partitions})
        for films in (1, 2):  # into a row that is not there yet, then into one that is
            await asyncio.gather(*(_play(Running(store, views), each, f"{own}-{films}", films) for each in partitions))
        [row] = await postgres.fetch("select plays, watched_ms, devices from plays_by_title")
        assert (row["plays"], row["watched_ms"]) == (12, 12 * 10_000)
    finally:
        await store.close()
        await postgres.execute("drop table plays_by_title")
        await postgres.execute("delete from projection_checkpoint where partition >= $1", NOBODY_S)


async def _play(running: Running, partition: Partition, name: str, offset: int) -> None:
    played = session(f"{name}-{partition.partition}")
    events = [reported(p.Started, 0, of=played), reported(p.Heartbeat, 1, of=played)]
    first = 2 * (offset - 1)
    await running.engine.apply([slab(partition, [record(first + at, event) for at, event in enumerate(events)])])


async def test_postgres_undoes_rows_whose_checkpoint_cannot_move(
    in_postgres: Running, postgres: Pool, own: str
) -> None:
    class NoKafka(FakeLetters):
        async def send(self, projection: str, letters: Any) -> None:
            raise OSError

    engine = Engine[Any](in_postgres.store, postgres_views(Settings()), NoKafka())
    records = [record(0, reported(of=session(own))), record(1, b"{")]
    with pytest.raises(Exception, match="OSError"):
        await engine.apply([slab(PLAYBACK, records)])
    assert await postgres.fetchrow("select from playback_sessions where session_id = $1", own) is None
    assert await in_postgres.store.checkpoints([PLAYBACK]) == {PLAYBACK: Checkpoint(0, -1)}


async def test_postgres_that_was_truncated_is_noticed(in_postgres: Running, postgres: Pool, own: str) -> None:
    await postgres.execute("delete from projection_checkpoint where partition = $1", NOBODY_S)
    with pytest.raises(StoreEmptied):
        await in_postgres.apply(PLAYBACK, record(0, reported(of=session(own))))


def of_film(own: str, film: str, *, minutes: int = 0, seq: int = 0) -> Any:
    snapshot = session(f"{own}-{film}", profile_id=own, title=movie(film))
    return reported(
        p.Heartbeat, seq, of=snapshot, position_ms=minutes * MINUTE_MS, time=EVENING + timedelta(minutes=minutes)
    )


async def test_redis_keeps_when_a_checkpoint_moved_last(in_redis: Running, redis: Redis, own: str) -> None:
    field = f"{PLAYBACK.topic}:{PLAYBACK.partition}"
    before = await redis.hget(MOVED, field)
    await in_redis.apply(PLAYBACK, record(0, reported(p.Heartbeat, 0, of=session(own))))
    first = int(await redis.hget(MOVED, field) or 0)
    assert before is None
    assert abs(utc_now().timestamp() * 1000 - first) < 60_000
    await in_redis.apply(PLAYBACK, record(1, reported(p.Heartbeat, 1, of=session(own))))
    assert int(await redis.hget(MOVED, field) or 0) >= first


async def test_redis_refuses_a_row_that_is_older_than_what_it_holds(in_redis: Running, redis: Redis, own: str) -> None:
    await in_redis.apply(PLAYBACK, *(record(at, of_film(own, "heat", minutes=at, seq=at)) for at in range(3)))
    await in_redis.store.begin(BEGUN)
    await in_redis.apply(PLAYBACK, record(0, of_film(own, "heat", minutes=0, seq=0)))
    value = await redis.hget(f"continue_watching:{{{own}}}", "heat")
    assert isinstance(value, bytes)
    assert value.startswith(b"2:")


async def test_redis_keeps_the_newest_rows_of_a_profile_for_as_long_as_it_watches(
    in_redis: Running, redis: Redis, own: str
) -> None:
    films = ["c", "a", "d", "b", "e"]
    records = [record(at, of_film(own, film, minutes=ord(film) - 90)) for at, film in enumerate(films)]
    await in_redis.apply(PLAYBACK, *records)
    kept = await redis.hkeys(f"continue_watching:{{{own}}}")
    assert set(kept) == {b"c", b"d", b"e"}
    assert await redis.ttl(f"continue_watching:{{{own}}}") > 399 * 24 * 3600


async def test_redis_lets_go_of_what_no_token_speaks_for_any_more(
    in_redis: Running, redis: Redis, live: Settings, own: str
) -> None:
    def ended(number: int, at: datetime) -> Any:
        event = SignedOut(
            account_id=AccountId(own),
            sign_in_id=SignInId(f"{own}-{number}"),
            device_id=DeviceId("tv"),
            reason="signed_out",
        )
        return record(number, envelope(event, time=at), position=number)

    async def kept() -> set[int]:
        fields = await redis.hkeys("identity_revoked:{all}")
        return {number for number in range(4) if f"sign_in:{own}-{number}".encode() in fields}

    now = utc_now()
    lasts = timedelta(seconds=token_lifetimes(live).access_s + CLOCKS_APART_S)
    soon_over = now - lasts + timedelta(seconds=2)
    await in_redis.apply(IDENTITY, ended(0, now), ended(1, soon_over), ended(2, now - timedelta(days=400)))
    assert await kept() == {0, 1}
    await asyncio.sleep(3)
    await in_redis.apply(IDENTITY, ended(3, now))
    assert await kept() == {0, 3}
    assert await redis.ttl("identity_revoked:{all}") > 23 * 3600


async def test_redis_that_forgot_its_scripts_is_given_them_again(in_redis: Running, redis: Redis, own: str) -> None:
    await redis.script_flush()
    await in_redis.apply(PLAYBACK, record(0, of_film(own, "heat")))
    assert await redis.hlen(f"continue_watching:{{{own}}}") == 1


async def test_redis_moves_no_checkpoint_that_another_worker_moved(in_redis: Running) -> None:
    before = {PLAYBACK: Checkpoint(0, -1)}
    await in_redis.store.begin({PLAYBACK: Checkpoint(5, 4)})
    _, changes = await in_redis.store.begin_round([PLAYBACK])
    with pytest.raises(StoreEmptied):
        await in_redis.store.move(before, {PLAYBACK: Checkpoint(3, 2)}, changes)
    assert await in_redis.store.checkpoints([PLAYBACK]) == {PLAYBACK: Checkpoint(5, 4)}


async def test_redis_refusing_one_profile_s_hash_sets_only_its_record_aside(
    in_redis: Running, redis: Redis, own: str
) -> None:
    await redis.set(f"continue_watching:{{{own}-3}}", "not a hash")
    await in_redis.apply(PLAYBACK, *(record(at, of_film(f"{own}-{at}", "heat")) for at in range(8)))
    assert [(letter.record.offset, letter.reason) for _, letter in in_redis.letters.sent] == [(3, "store_refused")]
    hashes = [await redis.hlen(f"continue_watching:{{{own}-{at}}}") for at in range(8) if at != 3]
    assert hashes == [1] * 7


async def test_cassandra_keeps_the_highest_seq_in_whatever_order_slabs_come(
    in_cassandra: Running, live: Settings, own: str
) -> None:
    def at(seq: int, report: Any = p.Heartbeat) -> Any:
        return reported(report, seq, of=session(own, profile_id=own))

    await in_cassandra.apply(PLAYBACK, record(0, at(7)), record(1, at(9, p.Completed)))
    await in_cassandra.apply(PLAYBACK, record(2, at(8)), record(3, at(3)))
    cassandra = await Cassandra.connect(live)
    (row,) = await cassandra.execute(
        "select position_ms, completed, ttl(position_ms) as ttl from watch_history "
        "where profile_id = %s and month = '2026-11'",
        (own,),
    )
    seqs = await cassandra.execute("select seq, report from session_timeline where session_id = %s", (own,))
    await cassandra.close()
    assert (row["position_ms"], row["completed"]) == (90_000, True)
    assert live.history_ttl_days * 24 * 3600 - 100 < row["ttl"] <= live.history_ttl_days * 24 * 3600
    assert [entry["seq"] for entry in seqs] == [3, 7, 8, 9]
