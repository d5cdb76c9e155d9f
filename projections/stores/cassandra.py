"""Views in Cassandra or ScyllaDB: time series whose keys and timestamps make writing a row again harmless; the
checkpoint is written after the rows.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Final

import msgspec
from cassandra import InvalidRequest, OperationTimedOut, RequestExecutionException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import IsBootstrappingErrorMessage, OverloadedErrorMessage, ServerError
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType

from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.settings import Settings
from projections.errors import RecordRefused, StoreEmptied, StoreUnavailable
from projections.folding import fold_series
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.views import SeriesView, Stamped

CassandraView = SeriesView[Any]

BATCH_MAX_ROWS: Final = 50
"""Rows of one partition key in an unlogged batch."""
REQUESTS_MAX: Final = 64
"""Requests in flight."""

_UNAVAILABLE: Final = (
    OSError,
    TimeoutError,
    NoHostAvailable,
    ConnectionException,
    OperationTimedOut,
    RequestExecutionException,  # unavailable, timed out or failed on replicas
    OverloadedErrorMessage,
    IsBootstrappingErrorMessage,
    ServerError,
)
_REFUSED: Final = (TypeError, ValueError, OverflowError, struct.error)  # the driver's, when it binds a value

_READ: Final = "select partition, next_offset, position from projection_checkpoint where projection = ? and topic = ?"
_WRITE: Final = (
    "insert into projection_checkpoint (projection, topic, partition, next_offset, position, updated_at) "
    "values (?, ?, ?, ?, ?, ?)"
)


@contextmanager
def _told_apart(view: str | None = None) -> Iterator[None]:
    """Turns the driver's errors into the engine's. What is neither is a fault of ours, and ends the process."""
    try:
        yield
    except InvalidRequest as error:
        # Too long a key or too large a row, for the tables themselves were there when the statements were prepared.
        if view is None or "unconfigured" in str(error):
            raise
        raise RecordRefused(view, str(error)) from error
    except _UNAVAILABLE as error:
        raise StoreUnavailable(repr(error)) from error


class CassandraStore:
    """The Cassandra projection."""

    name = "cassandra"
    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(self, settings: Settings, views: Sequence[CassandraView]) -> None:
        self._settings = settings
        self._views = views
        self._cassandra: Cassandra | None = None
        self._inserts: dict[str, Any] = {}
        self._read: Any = None
        self._write: Any = None

    async def open(self) -> None:
        """Connect and prepare the statements."""
        await self.close()
        with _told_apart():
            self._cassandra = await Cassandra.connect(self._settings)
            self._read = await self._cassandra.prepare(_READ)
            self._write = await self._cassandra.prepare(_WRITE)
            self._inserts = {view.name: await self._cassandra.prepare(insert_of(view)) for view in self._views}

    async def close(self) -> None:
        """Close the connections."""
        cassandra, self._cassandra = self._cassandra, None
        if cassandra is not None:
            await cassandra.close()

    @asynccontextmanager
    async def round(self) -> AsyncIterator["CassandraRound"]:
        """A round."""
        with _told_apart():
            yield CassandraRound(self)

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are."""
        held: dict[Partition, Checkpoint] = {}
        with _told_apart():
            for topic in sorted({partition.topic for partition in partitions}):
                for row in await self._session.execute(self._read, (self.name, topic)):
                    held[Partition(topic, row["partition"])] = Checkpoint(row["next_offset"], row["position"])
        return {partition: held[partition] for partition in partitions if partition in held}

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Set checkpoints. One that another worker moved meanwhile is set back: its records are written once more."""
        with _told_apart():
            await self.write_checkpoints(checkpoints)

    async def write_checkpoints(self, checkpoints: Checkpoints) -> None:
        """Write checkpoints; the partitions of a topic share one of Cassandra's."""
        now = utc_now()
        values = [(self.name, *partition, *checkpoint, now) for partition, checkpoint in checkpoints.items()]
        await asyncio.gather(*(self._session.execute(self._write, one) for one in values))

    async def save(self, view: CassandraView, rows: Sequence[Stamped[Any]]) -> int:
        """Write rows, those of one partition key in batches, with a bounded number of requests in flight."""
        in_flight: set[asyncio.Future[Any]] = set()
        with _told_apart(view.name):
            try:
                for batch in batches_of(view, rows):
                    if len(in_flight) >= REQUESTS_MAX:
                        done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                        await asyncio.gather(*done)
                    in_flight.add(self._session.execute(self._statement(view, batch)))
                await asyncio.gather(*in_flight)
            finally:
                await asyncio.gather(*in_flight, return_exceptions=True)  # none is left unheard
        return len(rows)

    @property
    def _session(self) -> Cassandra:
        if self._cassandra is None:
            raise StoreUnavailable("not connected")
        return self._cassandra

    def _statement(self, view: CassandraView, rows: Sequence[Stamped[Any]]) -> Any:
        insert = self._inserts[view.name]
        try:
            bound = [insert.bind(values_of(stamped)) for stamped in rows]
        except _REFUSED as error:
            raise RecordRefused(view.name, str(error)) from error
        if len(bound) == 1:
            return bound[0]
        batch = BatchStatement(batch_type=BatchType.UNLOGGED)
        for statement in bound:
            batch.add(statement)
        return batch


class CassandraRound:
    """See Round."""

    def __init__(self, store: CassandraStore) -> None:
        self._store = store

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """Not locked: a worker that lost its partitions writes rows that are there already."""
        held = await self._store.checkpoints(partitions)
        if len(held) < len(partitions):
            raise StoreEmptied(sorted(set(partitions) - held.keys()))
        return held

    async def fold(self, view: CassandraView, taken: Sequence[Taken]) -> Ready:
        """Nothing to load: a row comes from its event alone."""
        folded = fold_series(view, taken)
        return Ready(folded.failed, partial(self._store.save, view, folded.rows))

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Write the checkpoints that moved."""
        moved = {partition: checkpoint for partition, checkpoint in after.items() if before[partition] != checkpoint}
        await self._store.write_checkpoints(moved)


def insert_of(view: CassandraView) -> str:
    """The statement that writes a row of a view."""
    fields = view.row.__struct_fields__
    return f"insert into {view.name} ({', '.join(fields)}) values ({', '.join('?' for _ in fields)}) using timestamp ?"


def values_of(stamped: Stamped[Any]) -> list[object]:
    """A row as its insert takes it. What is None is not written: a null would be a tombstone."""
    values = [UNSET_VALUE if value is None else value for value in msgspec.structs.astuple(stamped.row)]
    return [*values, stamped.timestamp_us]


def batches_of(view: CassandraView, rows: Sequence[Stamped[Any]]) -> Iterator[list[Stamped[Any]]]:
    """The rows by partition key, at most BATCH_MAX_ROWS together."""
    buckets: dict[tuple[object, ...], list[Stamped[Any]]] = {}
    for stamped in rows:
        bucket = tuple(getattr(stamped.row, field) for field in view.bucket)
        buckets.setdefault(bucket, []).append(stamped)
    for in_bucket in buckets.values():
        left = iter(in_bucket)
        while batch := list(islice(left, BATCH_MAX_ROWS)):
            yield batch
