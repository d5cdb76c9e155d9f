"""Opens streams for a decision, records what was decided, and reads the log in order."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import asyncpg

from events.envelope import Context, Event
from events.topics import topic_of
from infra.event_log.bell import Bell
from infra.event_log.idempotency import HandledMeanwhile, Idempotency
from infra.event_log.partitions import partition_of
from infra.event_log.streams import Appended, Stream
from infra.positions import Position
from infra.postgres import Connection, Pool
from infra.settings import Settings

APPEND = "select append_events($1, $2, $3, $4, $5, $6, $7)"
APPEND_AND_REMEMBER = "select append_and_remember($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
REMEMBER = "insert into idempotency values ($1, $2, $3, $4, $5)"
SNAPSHOT = """
insert into stream_snapshot as old values ($1, $2, $3, $4, $5)
on conflict (stream_id) do update
set version = excluded.version, place = excluded.place, digest = excluded.digest, state = excluded.state
"""


class LogRow(NamedTuple):
    """One event as the log holds it. `body`: the envelope's bytes, which go to Kafka as they are."""

    partition: int
    position: int
    type: str
    stream_id: str
    body: bytes
    digest: bytes
    hash: bytes


class Replayed(NamedTuple):
    """The reply to a request that was handled before, and the position token that it had."""

    reply: bytes
    place: str


@dataclass
class Opened:
    """Streams whose locks are held until the transaction ends. `replayed`: then none is loaded, and nothing is to
    do.
    """

    connection: Connection
    streams: dict[str, Stream]
    now: datetime
    request: Idempotency | None
    snapshot_every_events: int
    change_max_bytes: int
    replayed: Replayed | None = None
    is_recorded: bool = False

    async def record(
        self,
        decided: Mapping[str, Sequence[Event]],
        context: Context,
        reply: bytes,
        *,
        changes: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Append to the streams, all or none, and remember the reply; the position token of each stream's last event.
        `changes`: what they changed, of streams whose last event is to carry it.

        Partition heads are locked in order, so that two that record into the same ones cannot wait for each other.
        """
        places = {stream_id: stream.place for stream_id, stream in self.streams.items()}
        writing = sorted(
            (self.streams[stream_id] for stream_id, events in decided.items() if events),
            key=lambda stream: stream.partition,
        )
        request = self.request
        try:
            for stream in writing:
                change = changes.get(stream.stream_id) if changes else None
                appended = Appended.after(stream, decided[stream.stream_id], context, self.now, change=change)
                places[stream.stream_id] = await self._append(stream, appended, request, reply)
                request = None
            if request is not None:
                await self._remember(request, reply, next(iter(places.values())))
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "idempotency_pkey":
                raise HandledMeanwhile(str(self.request)) from error
            raise
        return places

    def is_long(self, stream: Stream) -> bool:
        """Whether so many events had to be read that a snapshot is worth its writing."""
        return len(stream.events) >= self.snapshot_every_events

    async def keep_snapshot(self, stream: Stream, state: bytes, digest: bytes) -> None:
        """Keep the state that a stream had when it was opened."""
        await self.connection.execute(SNAPSHOT, stream.stream_id, stream.version, stream.place, digest, state)

    async def _append(self, stream: Stream, appended: Appended, request: Idempotency | None, reply: bytes) -> str:
        self.is_recorded = True
        topic = topic_of(appended.types[-1]).name
        values = (stream.partition, stream.stream_id, stream.version, *appended[:2], self.now, appended.bodies)
        if request is None:
            position = await self.connection.fetchval(APPEND, *values)
        else:
            position = await self.connection.fetchval(
                APPEND_AND_REMEMBER, *values, topic, request.key, request.digest, reply
            )
        return str(Position(topic, stream.partition, position))

    async def _remember(self, request: Idempotency, reply: bytes, place: str) -> None:
        await self.connection.execute(REMEMBER, request.key, request.digest, reply, self.now, place)


class EventLog:
    """The log of an installation."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._bell = Bell(pool)
        self._partitions = settings.log_partitions
        self._snapshot_every_events = settings.snapshot_every_events
        self._change_max_bytes = settings.audit_change_max_bytes

    @asynccontextmanager
    async def open(
        self, snapshots: Mapping[str, bytes | None], *, now: datetime, request: Idempotency | None = None
    ) -> AsyncIterator[Opened]:
        """Streams, by id, each with the digest of the snapshots that its decider can read (None: none).

        What is recorded is committed when the block ends, or nothing on an exception. Raises IdempotencyKeyReused.
        """
        async with self._pool.acquire() as pooled, pooled.transaction():
            connection: Connection = pooled  # type: ignore[assignment]  # the pool's proxy offers all of it
            opened = Opened(connection, {}, now, request, self._snapshot_every_events, self._change_max_bytes)
            for stream_id in sorted(snapshots):  # in this order, so that two cannot wait for each other
                await self._open(opened, stream_id, snapshots[stream_id])
                if opened.replayed is not None:
                    break
            yield opened
        if opened.is_recorded:
            self._bell.ring()

    async def _open(self, opened: Opened, stream_id: str, digest: bytes | None) -> None:
        request = opened.request if not opened.streams else None
        key = request.key if request else None
        rows = await opened.connection.fetch("select * from open_stream($1, $2, $3)", stream_id, key, digest)
        if request and rows and rows[0]["kind"] == "reply":
            request.check(rows[0]["digest"])
            opened.replayed = Replayed(rows[0]["body"], rows[0]["place"])
            return
        opened.streams[stream_id] = Stream(stream_id, partition_of(stream_id, self._partitions), rows)

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
