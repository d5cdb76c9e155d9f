"""The event log in Postgres: where handle contexts decide. Positions are gapless and hash-chained in each partition.

One transaction a command, in an order that keeps readers from skipping: the stream's advisory lock, the idempotency
row, load and decide, then append_events() (migration 0001), which takes the partition head's lock last and holds it
to commit.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from events.envelope import (
    DATA_CONTENT_TYPE,
    SPEC_VERSION,
    Context,
    Envelope,
    Event,
    Recorded,
    encode,
)
from events.refusals import Refusal
from events.registry import REGISTRY, dataschema_of, type_of
from events.topics import topic_of
from infra.ids import new_uuid
from infra.positions import Position
from infra.postgres import Connection, Pool, connect_pool
from infra.settings import Settings

GENESIS = bytes(32)
"""What the first event of a partition is chained to."""


class WrongPartitionCount(Exception):
    """The log has another number of partitions than settings say; it is fixed when the log is created."""


class IdempotencyKeyReused(Refusal):
    """The same Idempotency-Key came with another request."""


class VersionConflict(Refusal):
    """The stream is not at the version that the caller expected."""


class HandledMeanwhile(Exception):
    """Another transaction handled the same request first: begin again and replay its reply."""


class Idempotency(NamedTuple):
    """What makes a repeated request recognisable: its key (scoped to its principal) and a digest of what it asked
    for.
    """

    key: str
    digest: bytes

    @classmethod
    def of(cls, *, principal: str, key: str, request: bytes) -> "Idempotency":
        """The identity of a request body sent under a key."""
        return cls(f"{principal}:{key}", hashlib.sha256(request).digest())


class LogRow(NamedTuple):
    """One event as the log holds it. `body`: the envelope's bytes, which go to Kafka as they are."""

    partition: int
    position: int
    type: str
    stream_id: str
    body: bytes
    digest: bytes
    hash: bytes


def partition_of(stream_id: str, partitions: int) -> int:
    """The partition that a stream lives in, for good."""
    return zlib.crc32(stream_id.encode()) % partitions


async def create_partitions(settings: Settings) -> None:
    """Give the log its partitions, once. Raises WrongPartitionCount when it has another number already."""
    pool = await connect_pool(settings, size=1)
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("lock table partition_head in exclusive mode")
            have = await connection.fetchval("select count(*) from partition_head")
            if have not in (0, settings.log_partitions):
                raise WrongPartitionCount(
                    f"the event log was created with {have} partitions and PLAYHEAD_LOG_PARTITIONS is "
                    f"{settings.log_partitions}; set it to {have}"
                )
            wanted = range(settings.log_partitions)
            await connection.execute(
                "insert into partition_head select p, 0, $2 from unnest($1::smallint[]) p on conflict do nothing",
                wanted,
                GENESIS,
            )
            await connection.execute(
                "insert into relay_lease (partition) select unnest($1::smallint[]) on conflict do nothing", wanted
            )
    finally:
        await pool.close()


class Stream:
    """One stream inside the transaction that holds its lock. `version` and `last`: of its last event; 0 and None for
    none.
    """

    def __init__(self, connection: Connection, stream_id: str, *, partition: int, now: datetime) -> None:
        self._connection = connection
        self.stream_id = stream_id
        self.partition = partition
        self.version = 0
        self.last: Position | None = None
        self._now = now

    async def load(self) -> list[Recorded[Event]]:
        """Its events in order."""
        rows = await self._connection.fetch(
            "select version, position, body from event_log where stream_id = $1 order by version", self.stream_id
        )
        events = [REGISTRY.decode(row["body"]) for row in rows]
        if events:
            self.version = rows[-1]["version"]
            self.last = self._position(rows[-1]["position"], events[-1].envelope.type)
        return events

    async def append(self, events: Sequence[Event], context: Context) -> None:
        """Add events at the end. load() came first."""
        ids = [new_uuid() for _ in events]
        bodies = [
            self._body(event, event_id, self.version + number, context)
            for number, (event, event_id) in enumerate(zip(events, ids, strict=True), 1)
        ]
        types = [type_of(type(event)) for event in events]
        position: int = await self._connection.fetchval(
            "select append_events($1, $2, $3, $4, $5, $6, $7)",
            self.partition,
            self.stream_id,
            self.version,
            ids,
            types,
            self._now,
            bodies,
        )
        self.version += len(events)
        self.last = self._position(position, types[-1])

    async def replay(self, request: Idempotency) -> bytes | None:
        """The reply stored for a request handled before. Raises IdempotencyKeyReused when the key came with another."""
        row = await self._connection.fetchrow(
            "select request_digest, reply from idempotency where key = $1", request.key
        )
        if row is None:
            return None
        if row["request_digest"] != request.digest:
            raise IdempotencyKeyReused(
                "this Idempotency-Key was used for another request; use a new key for a new request"
            )
        reply: bytes = row["reply"]
        return reply

    async def remember(self, request: Idempotency, reply: bytes) -> None:
        """Store a reply in the transaction of what it answers. Raises HandledMeanwhile to the slower of two."""
        try:
            await self._connection.execute(
                "insert into idempotency values ($1, $2, $3, $4)", request.key, request.digest, reply, self._now
            )
        except asyncpg.UniqueViolationError as error:
            raise HandledMeanwhile(request.key) from error

    def _position(self, position: int, type_name: str) -> Position:
        return Position(topic_of(type_name).name, self.partition, position)

    def _body(self, event: Event, event_id: UUID, version: int, context: Context) -> bytes:
        type_name = type_of(type(event))
        return encode(
            Envelope(
                specversion=SPEC_VERSION,
                id=str(event_id),
                source=f"/{type_name.partition('.')[0]}",
                type=type_name,
                subject=self.stream_id,
                time=self._now,
                recordedtime=self._now,
                datacontenttype=DATA_CONTENT_TYPE,
                dataschema=dataschema_of(type_name),
                partitionkey=self.stream_id,
                sequence=version,
                correlationid=context.correlation_id,
                causationid=context.causation_id,
                traceparent=context.traceparent,
                principal=context.principal,
                data=event,
            )
        )


class EventLog:
    """Opens streams for a decision, and reads the log in order."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._partitions = settings.log_partitions

    @asynccontextmanager
    async def open(self, stream_id: str, *, now: datetime) -> AsyncIterator[Stream]:
        """A stream, locked until the block ends; what was appended is committed then, or nothing on an exception."""
        partition = partition_of(stream_id, self._partitions)
        async with self._pool.acquire() as pooled, pooled.transaction():
            connection: Connection = pooled  # type: ignore[assignment]  # the pool's proxy offers all of it
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", stream_id)
            yield Stream(connection, stream_id, partition=partition, now=now)

    async def read(self, partition: int, *, after: int, limit: int) -> list[LogRow]:
        """The next events of a partition, in order, without a gap."""
        rows = await self._pool.fetch(
            """select partition, position, type, stream_id, body, digest, hash from event_log
               where partition = $1 and position > $2 order by position limit $3""",
            partition,
            after,
            limit,
        )
        return [LogRow(*row) for row in rows]
