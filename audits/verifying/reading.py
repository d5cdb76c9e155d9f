"""Reads what is verified: rows of the log, records of Kafka, each in bounded pages."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from audits.verifying.chain import Row
from audits.verifying.relayed import Expected, Found
from infra.archive.records import position_of
from infra.postgres import Pool

ROWS: Final = """
select position, event_id::text, stream_id, version, type, recorded_at, body, digest, hash from event_log
where partition = $1 and position > $2 and position <= $3 order by position limit $4
"""
EXPECTED: Final = """
select position, event_id::text, stream_id, digest from event_log
where partition = $1 and position > $2 and position <= $3 and starts_with(type, $4) order by position limit $5
"""
POLL_MS: Final = 500


async def rows(pool: Pool, partition: int, after: int, until: int, limit: int) -> list[Row]:
    """The next rows of a log partition, in order."""
    found: Sequence[Any] = await pool.fetch(ROWS, partition, after, until, limit)
    return found  # type: ignore[return-value]  # records, which are unpacked alike, and a third faster than copies


class LogOf:
    """The rows of a log partition that are of one topic, in order, each once."""

    def __init__(self, pool: Pool, topic: str, partition: int, *, after: int, limit: int) -> None:
        self.after = after
        self._pool = pool
        self._context = f"{topic.partition('.')[0]}."
        self._partition = partition
        self._limit = limit

    async def up_to(self, position: int) -> list[Expected]:
        """The next, up to a position."""
        expected = list[Expected]()
        while self.after < position:
            page = await self._pool.fetch(EXPECTED, self._partition, self.after, position, self._context, self._limit)
            expected += [Expected(at, event_id, stream.encode(), digest) for at, event_id, stream, digest in page]
            self.after = page[-1]["position"] if len(page) == self._limit else position
        return expected


async def head(pool: Pool, partition: int) -> asyncpg.Record | None:
    """Where a partition ends by its head, and the position of its last row, seen at once."""
    found: asyncpg.Record | None = await pool.fetchrow(
        """select position, hash, (select max(position) from event_log where partition = $1) as last
           from partition_head where partition = $1""",
        partition,
    )
    return found


async def messages(
    consumer: AIOKafkaConsumer, place: TopicPartition, first: int, end: int, limit: int
) -> AsyncIterator[list[Any]]:
    """Kafka's records from one offset to before another, in order, some at a time."""
    if consumer.assignment() != {place}:
        consumer.assign([place])
    consumer.seek(place, first)
    at = first
    while at < end:
        found = (await consumer.getmany(place, timeout_ms=POLL_MS, max_records=limit)).get(place, [])
        page = [each for each in found if each.offset < end]
        if page:
            yield page
        at = await consumer.position(place)


def found_of(message: Any) -> Found:
    """What a record is checked by."""
    return Found(message.offset, position_of(message.headers), message.key, message.value)
