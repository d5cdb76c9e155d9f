"""Where each store keeps how far its projection is: read for read-your-writes."""

from collections.abc import Mapping, Sequence
from typing import Final

from infra.postgres import Pool
from query_api.drivers import Cql
from query_api.read_your_writes import Applied, ReadApplied
from query_api.redis_reads import RedisReads
from query_api.stores import Store

IN_POSTGRES: Final = "select partition, position from postgres_progress where topic = $1"
IN_CASSANDRA: Final = "select partition, position from projection_checkpoint where projection = ? and topic = ?"
IN_REDIS: Final = "projection_checkpoint:redis"
"""A hash: "topic:partition" -> "next_offset:position"."""
MOVED_IN_REDIS: Final = "projection_checkpoint:redis:moved"
"""A hash: "topic:partition" -> when that checkpoint moved last, in ms."""


def applied_by_postgres(store: Store[Pool]) -> ReadApplied:
    """Reads the Postgres projection's checkpoint."""

    async def read(topic: str) -> Applied:
        async with store.use() as pool:
            return {row["partition"]: row["position"] for row in await pool.fetch(IN_POSTGRES, topic)}

    return read


def applied_by_cassandra(store: Store[Cql]) -> ReadApplied:
    """Reads the Cassandra projection's checkpoint, or that of a rebuild that keeps a live version and is behind it."""

    async def read(topic: str) -> Applied:
        async with store.use() as cql:
            own = await cql.rows(IN_CASSANDRA, "cassandra", topic)
            kept = [await cql.rows(IN_CASSANDRA, each, topic) for each in await cql.kept_elsewhere()]
        return least([{row["partition"]: row["position"] for row in rows} for rows in (own, *kept)])

    return read


def applied_by_redis(store: Store[RedisReads]) -> ReadApplied:
    """Reads the Redis projection's checkpoint, or that of a rebuild that keeps a live version and is behind it."""

    async def read(topic: str) -> Applied:
        async with store.use() as reads:
            return least([_in_redis(fields, topic) for fields in await reads.applied("redis")])

    return read


def _in_redis(fields: Mapping[bytes, bytes], topic: str) -> Applied:
    places = ((*field.decode().rpartition(":"), value) for field, value in fields.items())
    return {
        int(partition): int(value.partition(b":")[2])
        for topic_of_place, _, partition, value in places
        if topic_of_place == topic
    }


def least(applied: Sequence[Applied]) -> Applied:
    """How far all of some are, the first of which is the projection; a rebuild has only the topics of its view."""
    return {
        partition: min(each.get(partition, position) for each in applied) for partition, position in applied[0].items()
    }
