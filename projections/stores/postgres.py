"""Views in Postgres: a round is a transaction, with the checkpoint's row locked in it, so that it applies exactly
once.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import msgspec

from infra.postgres import Connection, Pool, Role, connect_pool
from infra.settings import Settings
from projections.aggregating import net_changes
from projections.errors import RecordRefused, StoreEmptied, StoreUnavailable
from projections.folding import Keyed
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.stores.postgres_writing import UNAVAILABLE, add_up, save, told_apart
from projections.stores.tables import Table
from projections.versions.keeping import Keeping, KeptByProjection
from projections.views import AggregateView, KeyedView

PostgresView = KeyedView[Any, str] | AggregateView[Any, Any]

_READ: Final = """
    select topic, partition, next_offset, position, swaps from projection_checkpoint
    where projection = $1 and (topic, partition) in (select * from unnest($2::text[], $3::int[]))
"""
_LOCK: Final = f"{_READ} order by topic, partition for update"
_MOVE: Final = """
    update projection_checkpoint as held
    set next_offset = new.next_offset, position = new.position, updated_at = now()
    from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) as new(topic, partition, next_offset, position)
    where held.projection = $1 and held.topic = new.topic and held.partition = new.partition
"""
_BEGIN: Final = """
    insert into projection_checkpoint as held (projection, topic, partition, next_offset, position)
    select $1, * from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
    on conflict (projection, topic, partition) do update
    set next_offset = greatest(held.next_offset, excluded.next_offset), updated_at = now()
"""


class PostgresStore:
    """The Postgres projection, or a rebuild of some of its views."""

    def __init__(self, settings: Settings, views: Sequence[PostgresView], keeping: Keeping | None = None) -> None:
        self._settings = settings
        self._views = views
        self._keeping = keeping or KeptByProjection(views)
        self._tables = self._tables_now()
        self.aggregates = [view for view in views if isinstance(view, AggregateView)]
        self._pool: Pool | None = None

    @property
    def name(self) -> str:
        """See Store."""
        return self._keeping.name

    @property
    def missing(self) -> Mapping[str, str]:
        """See Store."""
        return self._keeping.missing

    def _tables_now(self) -> dict[str, Table]:
        return {view.name: Table(view, self._keeping.tables.get(view.name)) for view in self._views}

    async def open(self) -> None:
        """Connect. A transaction that a crash of Postgres loses takes its checkpoint along, and its records are read
        again: commits need not wait for the disk.
        """
        await self.close()
        with told_apart():
            self._pool = await connect_pool(self._settings, role=Role.PROJECTIONS, size=2, synchronous_commit=False)
        async with self._connection() as connection:
            await self._keeping.open(connection)

    async def close(self) -> None:
        """Close the connections, whatever they are doing."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    @asynccontextmanager
    async def round(self) -> AsyncIterator["PostgresRound"]:
        """A transaction."""
        async with self._connection() as connection, connection.transaction():
            yield PostgresRound(self, connection)

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are."""
        async with self._connection() as connection:
            await self._keeping.say(connection)
            held, _ = await _read(connection, _READ, self.name, partitions)
            return held

    async def lock(self, connection: Connection, partitions: Collection[Partition]) -> dict[Partition, Checkpoint]:
        """The checkpoints, locked until the transaction ends; whatever was swapped before is known then."""
        held, swaps = await _read(connection, _LOCK, self.name, partitions)
        if await self._keeping.agree(connection, swaps):
            self._tables = self._tables_now()
        return held

    def skips(self, view: PostgresView) -> bool:
        """Whether a view is not to be written here: see Keeping."""
        return view.name in self._keeping.skipped

    def added_up_of(self, view: PostgresView) -> list[AggregateView[Any, Any]]:
        """The aggregates of a view that are kept in step with it."""
        return [one for one in self.aggregates if isinstance(view, one.source) and not self.skips(one)]

    def table(self, view: PostgresView) -> Table:
        """The table of a view."""
        return self._tables[view.name]

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Insert checkpoints, or raise those that are there."""
        async with self._connection() as connection:
            await connection.execute(_BEGIN, self.name, *_columns(checkpoints))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        with told_apart():
            if self._pool is None:
                raise StoreUnavailable("not connected")
            async with self._pool.acquire(timeout=self._settings.query_timeout_s) as connection:
                try:
                    yield connection  # type: ignore[misc]  # a proxy that the stubs do not take for a connection
                except (StoreUnavailable, *UNAVAILABLE):
                    connection.terminate()  # whatever it was in the middle of, the next round has another
                    raise


class PostgresRound:
    """See Round."""

    def __init__(self, store: PostgresStore, connection: Connection) -> None:
        self._store = store
        self.connection = connection

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """Locked until the transaction ends: a worker that lost its partitions waits here, then drops its records."""
        held = await self._store.lock(self.connection, partitions)
        if len(held) < len(partitions):
            raise StoreEmptied(sorted(set(partitions) - held.keys()))
        return held

    async def fold(self, view: PostgresView, taken: Sequence[Taken]) -> Ready:
        """One query for the rows."""
        assert isinstance(view, KeyedView), "aggregates take no events"
        if self._store.skips(view):
            return Ready([], _nothing)
        table = self._store.table(view)
        keyed = Keyed(view, taken)
        with told_apart(view.name):
            loaded = await self.connection.fetch(table.select, list(keyed.keys))
        held = {record[0]: table.row_of(record) for record in loaded}
        folded = keyed.fold(held)
        aggregates = self._store.added_up_of(view)
        try:
            gains = [(one, net_changes(one, held, folded.rows)) for one in aggregates]
        except Exception as error:  # an aggregate may raise anything; other records must not suffer
            raise RecordRefused(view.name, repr(error)) from error
        return Ready(folded.failed, partial(self._save_all, table, folded.rows, gains))

    async def _save_all(
        self,
        table: Table,
        changed: Mapping[str, tuple[msgspec.Struct | None, int]],
        gains: Sequence[tuple[AggregateView[Any, Any], Mapping[str, msgspec.Struct]]],
    ) -> int:
        """A view's rows, and what is added up of them."""
        written = await save(self.connection, table, changed)
        for aggregate, net in gains:
            try:
                written += await add_up(self.connection, aggregate, self._store.table(aggregate), net)
            except RecordRefused as refusal:  # it is the source's record that is set aside: both stay in step
                raise RecordRefused(table.name, f"{refusal.view}: {refusal.detail}") from refusal
        return written

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Move the locked checkpoints."""
        await self.connection.execute(_MOVE, self._store.name, *_columns(after))


async def _read(
    connection: Connection, sql: str, projection: str, partitions: Collection[Partition]
) -> tuple[dict[Partition, Checkpoint], dict[Partition, int]]:
    """The checkpoints, and how many swaps there were of views of each partition's topic."""
    topics, numbers = [each.topic for each in partitions], [each.partition for each in partitions]
    rows = await connection.fetch(sql, projection, topics, numbers)
    places = [Partition(row[0], row[1]) for row in rows]
    held = {place: Checkpoint(row[2], row[3]) for place, row in zip(places, rows, strict=True)}
    return held, {place: row[4] for place, row in zip(places, rows, strict=True)}


async def _nothing() -> int:
    """Writes no rows."""
    return 0


def _columns(checkpoints: Checkpoints) -> tuple[list[str], list[int], list[int], list[int]]:
    return (
        [partition.topic for partition in checkpoints],
        [partition.partition for partition in checkpoints],
        [checkpoint.next_offset for checkpoint in checkpoints.values()],
        [checkpoint.position for checkpoint in checkpoints.values()],
    )
