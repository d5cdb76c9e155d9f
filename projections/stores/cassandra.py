"""Views in Cassandra or ScyllaDB: time series whose keys and timestamps make writing a row again harmless; the
checkpoint is written after the rows, and only while what is live is known to be what they were written to (ADR 21).
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec
from cassandra import InvalidRequest, OperationTimedOut, RequestExecutionException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import IsBootstrappingErrorMessage, OverloadedErrorMessage, ServerError
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType

from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.live_views import table_in_cassandra
from infra.settings import Settings
from projections.errors import RecordRefused, StoreEmptied, StoreUnavailable
from projections.folding import fold_series
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.stores.cassandra_live import KnownLive
from projections.versions.following import Following, FollowsLive, Live
from projections.views import SeriesView, Stamped

CassandraView = SeriesView[Any]

NAME: Final = "cassandra"
HOUR_S: Final = 3600

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

LASTING: Final = "select default_time_to_live from system_schema.tables where keyspace_name = %s and table_name = %s"
_READ: Final = "select partition, next_offset, position from projection_checkpoint where projection = ? and topic = ?"
_WRITE: Final = (
    "insert into projection_checkpoint (projection, topic, partition, next_offset, position, updated_at) "
    "values (?, ?, ?, ?, ?, ?)"
)


@contextmanager
def told_apart(view: str | None = None) -> Iterator[None]:
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
    """The Cassandra projection, or a rebuild of one of its views."""

    def __init__(self, settings: Settings, views: Sequence[CassandraView], following: Following | None = None) -> None:
        self._settings = settings
        self._views = views
        self._following = following or FollowsLive(NAME, views)
        self._cassandra: Cassandra | None = None
        self._inserts: dict[str, Any] = {}
        self._lasting: dict[str, int] = {}
        self._read: Any = None
        self._write: Any = None
        self._live: KnownLive | None = None

    @property
    def name(self) -> str:
        """See Store."""
        return self._following.name

    @property
    def missing(self) -> Mapping[str, str]:
        """See Store."""
        return self._following.missing

    async def open(self) -> None:
        """Connect, prepare the statements, and have every view among those that are live."""
        await self.close()
        with told_apart():
            self._cassandra = await Cassandra.connect(self._settings)
            self._read = await self._cassandra.prepare(_READ)
            self._write = await self._cassandra.prepare(_WRITE)
            self._inserts = {}
            self._live = KnownLive(self._cassandra, NAME, self._settings)
            await self._live.register(
                self._following.folds, {topic.name for view in self._views for topic in view.topics}
            )
            live = await self._live.now()
            self._following.look(live)
            await self._prepare()

    async def close(self) -> None:
        """Close the connections."""
        cassandra, self._cassandra = self._cassandra, None
        if cassandra is not None:
            await cassandra.close()

    async def begin_round(self) -> Live:
        """Be of what is live now, as far as it is known; that."""
        live = await self._known()
        self._following.agree(live)
        await self._prepare()
        return live

    async def still_live(self, live: Live) -> None:
        """Raises StoreUnavailable where something else is live than was known when a round began."""
        if await self._known() != live:
            raise StoreUnavailable("another version of a view became live meanwhile")

    async def _known(self) -> Live:
        if self._live is None:
            raise StoreUnavailable("not connected")
        return await self._live.now()

    async def _prepare(self) -> None:
        for view in self._views:
            table = self.table(view)
            if table not in self._inserts:
                self._inserts[table] = await self._session.prepare(insert_of(view, table, ages=self.ages))

    def table(self, view: CassandraView) -> str:
        """The table of a view's version."""
        return table_in_cassandra(view.name, self._following.version(view.name))

    def skips(self, view: CassandraView) -> bool:
        """Whether somebody else keeps a view."""
        return self._following.skips(view.name)

    @property
    def ages(self) -> bool:
        """Whether rows are as old as their events: a rebuild's are to go when those of the projection would have."""
        return self.name != NAME

    async def lasting_s(self, view: CassandraView) -> int:
        """How long the table keeps a row; 0: for good."""
        table = self.table(view)
        if table not in self._lasting:
            rows = await self._session.execute(LASTING, (self._settings.cassandra_keyspace, table))
            self._lasting[table] = int(rows[0]["default_time_to_live"]) if rows else 0
        return self._lasting[table]

    @asynccontextmanager
    async def round(self) -> AsyncIterator["CassandraRound"]:
        """A round."""
        with told_apart():
            yield CassandraRound(self)

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are. Says to whoever keeps a view instead that somebody with this fold is here."""
        with told_apart():
            live = await self._known()
            has_fold = self._following.look(live)
            if self._live is not None:
                await self._live.say(live, has_fold)
        return await self.held(partitions)

    async def held(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are."""
        held: dict[Partition, Checkpoint] = {}
        with told_apart():
            for topic in sorted({partition.topic for partition in partitions}):
                for row in await self._session.execute(self._read, (self.name, topic)):
                    held[Partition(topic, row["partition"])] = Checkpoint(row["next_offset"], row["position"])
        return {partition: held[partition] for partition in partitions if partition in held}

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Set checkpoints. One that another worker moved meanwhile is set back: its records are written once more."""
        with told_apart():
            await self.write_checkpoints(checkpoints)

    async def write_checkpoints(self, checkpoints: Checkpoints) -> None:
        """Write checkpoints; the partitions of a topic share one of Cassandra's."""
        now = utc_now()
        values = [(self.name, *partition, *checkpoint, now) for partition, checkpoint in checkpoints.items()]
        await asyncio.gather(*(self._session.execute(self._write, one) for one in values))

    async def save(self, view: CassandraView, rows: Sequence[Stamped[Any]], ttl_s: int | None = None) -> int:
        """Write rows, those of one partition key in batches, with a bounded number of requests in flight. `ttl_s`: how
        long they last, where that is not for the table to say.
        """
        in_flight: set[asyncio.Future[Any]] = set()
        with told_apart(view.name):
            try:
                for batch in batches_of(view, rows):
                    if len(in_flight) >= REQUESTS_MAX:
                        done, in_flight = await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                        await asyncio.gather(*done)
                    in_flight.add(self._session.execute(self._statement(view, batch, ttl_s)))
                await asyncio.gather(*in_flight)
            finally:
                await asyncio.gather(*in_flight, return_exceptions=True)  # none is left unheard
        return len(rows)

    @property
    def _session(self) -> Cassandra:
        if self._cassandra is None:
            raise StoreUnavailable("not connected")
        return self._cassandra

    def _statement(self, view: CassandraView, rows: Sequence[Stamped[Any]], ttl_s: int | None) -> Any:
        insert, more = self._inserts[self.table(view)], [] if ttl_s is None else [ttl_s]
        try:
            bound = [insert.bind([*values_of(stamped), *more]) for stamped in rows]
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
        self._live: Live = {}

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """Not locked: a worker that lost its partitions writes rows that are there already."""
        self._live = await self._store.begin_round()
        held = await self._store.held(partitions)
        if len(held) < len(partitions):
            raise StoreEmptied(sorted(set(partitions) - held.keys()))
        return held

    async def fold(self, view: CassandraView, taken: Sequence[Taken]) -> Ready:
        """Nothing to load: a row comes from its event alone."""
        if self._store.skips(view):
            return Ready([], nothing)
        if self._store.ages:
            return self._fold_by_age(view, taken, await self._store.lasting_s(view))
        folded = fold_series(view, taken)
        return Ready(folded.failed, partial(self._store.save, view, folded.rows))

    def _fold_by_age(self, view: CassandraView, taken: Sequence[Taken], lasting_s: int) -> Ready:
        """The events of each hour by themselves: their rows last as if they had been written then, or are none."""
        by_hour: dict[int, list[Taken]] = {}
        for one in taken:
            by_hour.setdefault(int(one.recorded.envelope.recordedtime.timestamp()) // HOUR_S, []).append(one)
        now_s = int(utc_now().timestamp())
        failed: list[tuple[Taken, str]] = []
        saves = []
        for hour, of_hour in by_hour.items():
            folded = fold_series(view, of_hour)
            failed += folded.failed
            ttl_s = min((hour + 1) * HOUR_S + lasting_s - now_s, lasting_s) if lasting_s else 0
            if ttl_s > 0 or not lasting_s:
                saves.append(partial(self._store.save, view, folded.rows, ttl_s))

        async def save() -> int:
            return sum([await one() for one in saves])

        return Ready(failed, save)

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Write the checkpoints that moved."""
        await self._store.still_live(self._live)
        moved = {partition: checkpoint for partition, checkpoint in after.items() if before[partition] != checkpoint}
        await self._store.write_checkpoints(moved)


async def nothing() -> int:
    """Writes no rows."""
    return 0


def insert_of(view: CassandraView, table: str, *, ages: bool = False) -> str:
    """The statement that writes a row of a view. With `ages` it is told how long the row lasts."""
    fields = view.row.__struct_fields__
    using = "using timestamp ? and ttl ?" if ages else "using timestamp ?"
    return f"insert into {table} ({', '.join(fields)}) values ({', '.join('?' for _ in fields)}) {using}"


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
