"""The event log without a database, for logic tests: the same streams, versions, places and replies, no chain."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from events.envelope import Context, Event, Recorded
from events.topics import topic_of
from infra.event_log.idempotency import Idempotency
from infra.event_log.log import EventLog, Opened, Replayed
from infra.event_log.partitions import partition_of
from infra.event_log.streams import Appended, Stream
from infra.positions import Position

PARTITIONS = 4
NEVER = 10**9
CHANGE_MAX_BYTES = 16 * 1024


class MemoryEventLog(EventLog):
    """Streams in memory; one opens at a time. `bodies`: every event of the log, in the order that it was recorded."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._rows: dict[str, list[dict[str, Any]]] = {}  # as open_stream() returns them
        self._heads = [0] * PARTITIONS
        self._replies: dict[str, tuple[bytes, Replayed]] = {}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def open(
        self, snapshots: Mapping[str, bytes | None], *, now: datetime, request: Idempotency | None = None
    ) -> AsyncIterator[Opened]:
        """See EventLog.open()."""
        async with self._lock:
            opened = _MemoryOpened(self, now, request)
            if request is not None and request.key in self._replies:
                digest, opened.replayed = self._replies[request.key]
                request.check(digest)
            opened.streams = {} if opened.replayed else {stream_id: self._stream(stream_id) for stream_id in snapshots}
            yield opened

    async def events_of(self, stream_id: str) -> list[Recorded[Event]]:
        """A stream's events in order."""
        return self._stream(stream_id).events

    def append(self, stream: Stream, appended: Appended) -> str:
        """Add to the end of a stream; the place of its last event."""
        rows = self._rows.setdefault(stream.stream_id, [])
        for version, body in enumerate(appended.bodies, stream.version + 1):
            self._heads[stream.partition] += 1
            place = str(self._heads[stream.partition])
            rows.append({"kind": "event", "version": version, "place": place, "body": body})
            self.bodies.append(body)
        return str(Position(topic_of(appended.types[-1]).name, stream.partition, self._heads[stream.partition]))

    def remember(self, request: Idempotency, reply: bytes, place: str) -> None:
        """Keep a reply for a request that comes again."""
        self._replies[request.key] = (request.digest, Replayed(reply, place))

    def _stream(self, stream_id: str) -> Stream:
        rows: Sequence[Any] = self._rows.get(stream_id, ())
        return Stream(stream_id, partition_of(stream_id, PARTITIONS), rows)


class _MemoryOpened(Opened):
    def __init__(self, log: MemoryEventLog, now: datetime, request: Idempotency | None) -> None:
        self._log = log
        self.streams = {}
        self.now = now
        self.request = request
        self.snapshot_every_events = NEVER
        self.change_max_bytes = CHANGE_MAX_BYTES
        self.replayed = None

    async def record(
        self,
        decided: Mapping[str, Sequence[Event]],
        context: Context,
        reply: bytes,
        *,
        changes: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        places = {stream_id: stream.place for stream_id, stream in self.streams.items()}
        for stream_id, events in decided.items():
            if events:
                stream, change = self.streams[stream_id], (changes or {}).get(stream_id)
                appended = Appended.after(stream, events, context, self.now, change=change)
                places[stream_id] = self._log.append(stream, appended)
        if self.request is not None:
            self._log.remember(self.request, reply, next(iter(places.values())))
        return places
