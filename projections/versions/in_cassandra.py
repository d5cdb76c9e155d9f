"""Versions of views in Cassandra: their tables, checkpoints, and the one row that has one of them live."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, Final, Self

import msgspec
from cassandra import DriverException

from infra.cassandra import Cassandra, Row
from infra.live_views import Keeper, LiveView, projection_of, table_in_cassandra
from infra.settings import Settings
from projections.errors import StoreUnavailable
from projections.stores import cassandra_live
from projections.stores.cassandra import NAME, REQUESTS_MAX, told_apart
from projections.versions.groups import Group
from projections.versions.recorded import Key, Pair
from projections.versions.registry import VersionRefused

TOPICS: Final = "select distinct projection, topic from projection_checkpoint"
CHECKPOINTS: Final = (
    "select partition, next_offset, position, updated_at from projection_checkpoint where projection = ? and topic = ?"
)
KEEP: Final = (
    "insert into projection_checkpoint (projection, topic, partition, next_offset, position, updated_at) "
    "values (?, ?, ?, ?, ?, ?)"
)
FORGET: Final = "delete from projection_checkpoint where projection = ? and topic = ?"
PUT: Final = (
    "update live_view set version = ?, keeper = ?, fold = ? where projection = ? and view_name = ? "
    "if version = ? and keeper = ? and fold = ?"
)
SEEN: Final = (
    "select has_fold, seen_at, toTimestamp(now()) as now_at from live_view_seen "
    "where projection = ? and view_name = ? and version = ?"
)

_encode: Final = msgspec.json.Encoder(order="sorted", enc_hook=str).encode


class CassandraHome:
    """See Home. Rounds of workers are not fenced by the write: it is waited until none can be by what was before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Cassandra | None = None
        self._prepared: dict[str, Any] = {}
        self.settle_s = settings.view_live_kept_s + settings.query_timeout_s

    async def __aenter__(self) -> Self:
        with told_apart():
            self._opened = await Cassandra.connect(self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def live(self, view: str) -> LiveView:
        """See Home."""
        live = cassandra_live.parsed(await self._rows(cassandra_live.READ, NAME))
        if view not in live:
            raise VersionRefused(f"{view} has no live version: did the projection of Cassandra ever run?")
        return live[view]

    async def is_kept(self, view: str, version: int) -> bool:
        """See Home."""
        return bool(await self._topics(projection_of(NAME, view, version)))

    async def create(self, view: str, version: int) -> None:
        """See Home: a table as the live one is."""
        live = await self.live(view)
        like = copy(await self._table(table_in_cassandra(view, live.version)))
        like.name = table_in_cassandra(view, version)
        cql = like.as_cql_query().replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1)
        with told_apart():
            await self._cassandra.execute(cql)

    async def drop(self, view: str, version: int) -> None:
        """See Home."""
        own = projection_of(NAME, view, version)
        for topic in await self._topics(own):
            await self._rows(FORGET, own, topic)
        with told_apart():
            await self._cassandra.execute(f"drop table if exists {table_in_cassandra(view, version)}")

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """See Home: that cannot be had."""
        yield

    async def put(self, view: str, was: LiveView, now: LiveView) -> bool:
        """See Home. What the projection has applied so far is in the table of what was live."""
        own = projection_of(NAME, view, now.version)
        topics = await self._topics(own)
        if was.keeper is Keeper.PROJECTION and was.version != now.version:
            for topic in topics:
                for row in await self._rows(CHECKPOINTS, NAME, topic):
                    await self._rows(KEEP, projection_of(NAME, view, was.version), topic, *row.values())
        [reply] = await self._rows(PUT, *_columns(now), NAME, view, *_columns(was))
        if not next(iter(reply.values())):  # "[applied]"
            return False
        for topic in topics if now.keeper is Keeper.PROJECTION else ():
            await self._rows(FORGET, own, topic)
        return True

    async def seen(self, view: str, version: int) -> tuple[float | None, float | None]:
        """See Home."""
        rows = await self._rows(SEEN, NAME, view, version)
        ago_s = {row["has_fold"]: (row["now_at"] - row["seen_at"]).total_seconds() for row in rows}
        return ago_s.get(True), ago_s.get(False)

    async def pages(self, group: Group, live: int, other: int) -> AsyncIterator[Sequence[Pair]]:
        """See Home. Both tables are read side by side, in the order of their tokens: a row waits for the other one, and
        where too many do they are told without.
        """
        waiting: tuple[dict[Key, bytes], dict[Key, bytes]] = ({}, {})
        states: list[bytes | None] = [b"", b""]
        while any(state is not None for state in states):
            pairs = []
            for side, version in enumerate((live, other)):
                if (state := states[side]) is not None:
                    rows, states[side] = await self._page(table_in_cassandra(group.name, version), state)
                    pairs += _met([(_key_of(group, row), _encode(row)) for row in rows], waiting, side)
            if sum(map(len, waiting)) > self._settings.view_verify_again_max:
                pairs += _alone(waiting)
            yield pairs
        yield _alone(waiting)

    async def rows(self, group: Group, version: int) -> AsyncIterator[Sequence[Pair]]:
        """Every row of one version, beside itself."""
        state: bytes | None = b""
        while state is not None:
            rows, state = await self._page(table_in_cassandra(group.name, version), state)
            yield [Pair(_key_of(group, row), encoded, encoded) for row in rows if (encoded := _encode(row))]

    async def pairs(self, group: Group, live: int, other: int, keys: Sequence[Key]) -> Sequence[Pair]:
        """See Home. At most REQUESTS_MAX are asked for at a time."""
        found: list[Pair] = []
        for at in range(0, len(keys), REQUESTS_MAX // 2):
            piece = keys[at : at + REQUESTS_MAX // 2]
            asked = [self._row(group, version, key) for key in piece for version in (live, other)]
            rows = await asyncio.gather(*asked)
            found += [Pair(*each) for each in zip(piece, rows[::2], rows[1::2], strict=True)]
        return found

    async def _row(self, group: Group, version: int, key: Key) -> bytes | None:
        where = " and ".join(f"{name} = ?" for name in (*group.source.bucket, *group.source.key))
        rows = await self._rows(f"select * from {table_in_cassandra(group.name, version)} where {where}", *key)
        return _encode(rows[0]) if rows else None

    async def _page(self, table: str, state: bytes) -> tuple[list[Row], bytes | None]:
        """A page of a table, and where the next one begins, if there is one. In a thread: the driver waits for it."""
        statement = (await self._statement(f"select * from {table}")).bind(())
        statement.fetch_size = self._settings.view_verify_page_rows
        with told_apart():
            result = await asyncio.to_thread(self._cassandra.session.execute, statement, paging_state=state or None)
        return list(result.current_rows), result.paging_state

    async def _topics(self, projection: str) -> list[str]:
        return sorted(row["topic"] for row in await self._rows(TOPICS) if row["projection"] == projection)

    async def _rows(self, cql: str, *values: object) -> list[Row]:
        statement = await self._statement(cql)
        with told_apart():
            return await self._cassandra.execute(statement, values)

    async def _statement(self, cql: str) -> Any:
        if cql not in self._prepared:
            with told_apart():
                self._prepared[cql] = await self._cassandra.prepare(cql)
        return self._prepared[cql]

    async def _table(self, table: str) -> Any:
        """What the driver knows of a table. It may not have learnt of one that was made by somebody else."""
        cluster, keyspace = self._cassandra.session.cluster, self._settings.cassandra_keyspace
        with told_apart():
            try:
                await asyncio.to_thread(cluster.refresh_schema_metadata)
            except DriverException as error:
                raise StoreUnavailable(f"Cassandra does not tell what {table} is like: {error}") from error
        known = cluster.metadata.keyspaces.get(keyspace)
        if known is None or table not in known.tables:
            raise StoreUnavailable(f"Cassandra does not tell what {table} is like")
        return known.tables[table]

    @property
    def _cassandra(self) -> Cassandra:
        assert self._opened is not None, "used as a context"
        return self._opened


def _key_of(group: Group, row: Row) -> Key:
    return tuple(row[name] for name in (*group.source.bucket, *group.source.key))


def _met(
    rows: Sequence[tuple[Key, bytes]], waiting: tuple[dict[Key, bytes], dict[Key, bytes]], side: int
) -> list[Pair]:
    """The rows of one side whose other half waits; the others wait from now on."""
    pairs = []
    for key, row in rows:
        half = waiting[1 - side].pop(key, None)
        if half is None:
            waiting[side][key] = row
        else:
            pairs.append(Pair(key, half, row) if side else Pair(key, row, half))
    return pairs


def _alone(waiting: tuple[dict[Key, bytes], dict[Key, bytes]]) -> list[Pair]:
    """Those that wait, without their other half; none waits any more."""
    lives, others = waiting
    pairs = [
        *(Pair(key, row, None) for key, row in lives.items()),
        *(Pair(key, None, row) for key, row in others.items()),
    ]
    lives.clear()
    others.clear()
    return pairs


def _columns(live: LiveView) -> tuple[int, str, int]:
    return live.version, live.keeper.value, live.fold
