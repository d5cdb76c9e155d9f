"""Dead letters tried again in every real store: once, beside the worker that has the record's own partition."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from events import playback as p
from events.envelope import encode
from infra.cassandra import Cassandra
from infra.ids import new_id
from infra.postgres import Pool
from infra.redis import Redis, connect
from infra.settings import Settings
from projections.app import cassandra_views, postgres_views, redis_views
from projections.engine import Engine
from projections.errors import StoreUnavailable
from projections.slabs import Checkpoint, Partition
from projections.stores.cassandra import CassandraStore
from projections.stores.postgres import PostgresStore
from projections.stores.redis import CHECKPOINTS, RedisStore
from tests.builders import dead_letter_retried, reported, session
from tests.projections.folds import FakeLetters, record, slab

pytestmark = pytest.mark.integration

NOBODY_S = 9_100  # a partition that no topic has: the checkpoints of real ones are not touched
PLAYBACK = Partition("playback.events", NOBODY_S)
OPERATIONS = Partition("operations.events", NOBODY_S)
BEGUN = {PLAYBACK: Checkpoint(0, -1), OPERATIONS: Checkpoint(0, -1)}


class Running:
    """An engine on a store."""

    def __init__(self, store: Any, views: Any) -> None:
        self.store = store
        self.letters = FakeLetters()
        self.engine = Engine[Any](store, views, self.letters)

    async def apply(self, partition: Partition, *records: Any) -> None:
        await self.engine.apply([slab(partition, records, start=0)])

    async def retry(self, offset: int, event: Any, *, at: int = 0, views: tuple[str, ...] = ()) -> None:
        """Try a record again that stood at `at`; the retry itself stands at `offset`."""
        place = {"projection": self.store.name, "partition": NOBODY_S, "offset": at, "views": views}
        asked = dead_letter_retried(body=encode(event), letter_id=f"{self.store.name}/{new_id()}", **place)
        await self.apply(OPERATIONS, record(offset, asked, position=offset))


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
    views = redis_views(live)
    store = RedisStore(live, views)
    await store.open()
    await store.begin(BEGUN)
    yield Running(store, views)
    await redis.hdel(CHECKPOINTS, *(f"{each.topic}:{each.partition}" for each in BEGUN))
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


def heartbeat(own: str, seq: int, position_ms: int = 1_000_000) -> Any:
    return reported(p.Heartbeat, seq, of=session(own, profile_id=own), position_ms=position_ms + seq)


async def counted(postgres: Pool, own: str) -> int:
    return int(await postgres.fetchval("select event_count from playback_sessions where session_id = $1", own) or 0)


async def bookmark(redis: Redis, own: str) -> tuple[int, dict[str, Any]]:
    """The offset that a profile's only row was folded to, and the row."""
    values: list[Any] = await redis.hvals(f"continue_watching:{{{own}}}")
    [value] = values
    offset, _, row = value.split(b":", 2)
    return int(offset), msgspec.json.decode(row)


async def test_postgres_folds_a_retry_into_rows_that_later_records_made(
    in_postgres: Running, postgres: Pool, own: str
) -> None:
    await in_postgres.apply(PLAYBACK, *(record(at, heartbeat(own, at)) for at in (0, 2, 3)))
    await in_postgres.retry(0, heartbeat(own, 1), at=1)
    assert await counted(postgres, own) == 4
    assert [(each.record.offset, each.attempt) for each in in_postgres.letters.applied_again] == [(1, 1)]


async def test_postgres_applies_a_retry_once_however_often_it_comes(
    in_postgres: Running, postgres: Pool, own: str
) -> None:
    for _ in range(3):
        await in_postgres.retry(0, heartbeat(own, 1), at=1)
    assert await counted(postgres, own) == 1


async def test_postgres_loses_nothing_when_a_retry_and_the_partitions_own_worker_write_one_row(
    live: Settings, in_postgres: Running, postgres: Pool, own: str
) -> None:
    other = Running(in_postgres.store, postgres_views(live))

    async def new_ones() -> None:
        for at in range(0, 60, 2):
            await in_postgres.apply(PLAYBACK, record(at, heartbeat(own, at)))

    async def retries() -> None:
        for number, seq in enumerate(range(1, 60, 2)):
            await other.retry(number, heartbeat(own, seq), at=seq)

    await asyncio.gather(new_ones(), retries())
    assert await counted(postgres, own) == 60


async def test_redis_folds_a_retry_into_a_newer_row_and_leaves_the_offset_that_it_was_folded_to(
    in_redis: Running, redis: Redis, own: str
) -> None:
    await in_redis.apply(PLAYBACK, record(5, heartbeat(own, 5)))
    before, _ = await bookmark(redis, own)
    await in_redis.retry(0, heartbeat(own, 9, position_ms=1_500_000), at=3)
    offset, row = await bookmark(redis, own)
    assert (before, offset, row["position_ms"]) == (5, 5, 1_500_009)
    await in_redis.apply(PLAYBACK, record(6, heartbeat(own, 10, position_ms=1_600_000)))
    assert (await bookmark(redis, own))[1]["position_ms"] == 1_600_010


async def test_redis_makes_the_row_of_a_profile_that_has_none(in_redis: Running, redis: Redis, own: str) -> None:
    await in_redis.retry(0, heartbeat(own, 9), at=3)
    offset, row = await bookmark(redis, own)
    assert (offset, row["position_ms"]) == (3, 1_000_009)


async def test_redis_gives_a_retry_up_for_now_when_its_row_is_written_meanwhile(
    in_redis: Running, redis: Redis, own: str
) -> None:
    await in_redis.apply(PLAYBACK, record(5, heartbeat(own, 5)))
    rows: dict[Any, Any] = await redis.hgetall(f"continue_watching:{{{own}}}")
    [(field, value)] = rows.items()
    load = in_redis.store.load

    async def load_and_be_late(*asked: Any) -> Any:
        loaded = await load(*asked)
        await redis.hset(f"continue_watching:{{{own}}}", field, value.replace(b"5:", b"6:", 1))
        return loaded

    in_redis.store.load = load_and_be_late
    with pytest.raises(StoreUnavailable):
        await in_redis.retry(0, heartbeat(own, 9), at=3)
    in_redis.store.load = load
    await in_redis.retry(0, heartbeat(own, 9), at=3)
    offset, row = await bookmark(redis, own)
    assert (offset, row["position_ms"]) == (6, 1_000_009)


async def test_cassandra_writes_the_rows_of_a_retry(in_cassandra: Running, live: Settings, own: str) -> None:
    await in_cassandra.apply(PLAYBACK, record(5, heartbeat(own, 5)))
    for _ in range(2):
        await in_cassandra.retry(0, heartbeat(own, 3), at=3)
    session_of = await Cassandra.connect(live)
    rows = await session_of.execute("select seq from session_timeline where session_id = %s", (own,))
    await session_of.close()
    assert sorted(row["seq"] for row in rows) == [3, 5]


async def test_a_retry_goes_only_to_the_views_that_it_names(in_postgres: Running, postgres: Pool, own: str) -> None:
    await in_postgres.retry(0, heartbeat(own, 1), at=1, views=("catalog_titles",))
    assert await counted(postgres, own) == 0
    assert len(in_postgres.letters.applied_again) == 1
