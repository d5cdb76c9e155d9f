"""How the query API reads each of its stores: the clients, and what a failure of each looks like."""

import asyncio

import asyncpg
import redis.exceptions
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException

from infra import cassandra, live_views, postgres
from infra import redis as redis_client
from infra.clock import monotonic_s
from infra.live_views import Keeper, LiveView
from infra.settings import Settings
from query_api.live_views import LIVE, LiveNames, in_live
from query_api.redis_reads import RedisReads
from query_api.stores import Driver

POSTGRES_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.UndefinedTableError,  # not migrated yet
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidParameterValueError,  # no such role yet
)
CASSANDRA_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    DriverException,
    NoHostAvailable,
    ConnectionException,
)
REDIS_FAILURES: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)


class Cql:
    """Cassandra's tables, read by prepared statements: each is prepared once, when it is first used. Statements name
    the table of a view's first version, and read that of the live one.
    """

    def __init__(self, session: cassandra.Cassandra, names: LiveNames | None = None) -> None:
        self._session = session
        self._prepared: dict[str, object] = {}
        self._names = names
        self._learning: asyncio.Task[None] | None = None

    async def rows(self, cql: str, *values: object) -> list[cassandra.Row]:
        """The rows of a statement that names its own limit."""
        names = self._names
        if names is None:
            return await self._rows(cql, *values)
        learning = self._learn(names) if names.is_due else None
        named = in_live(cql, names.renamed)
        rows = await self._rows(named, *values)
        if learning is not None:
            await asyncio.shield(learning)
        now_named = in_live(cql, names.renamed)
        return rows if named == now_named else await self._rows(now_named, *values)

    async def kept_elsewhere(self) -> list[str]:
        """The projections of the rebuilds that keep live versions, as of now."""
        if self._names is None:
            return []
        await self._ask(self._names)
        return self._names.kept_elsewhere()

    def _learn(self, names: LiveNames) -> "asyncio.Task[None]":
        """Ask what is live, once for all who read meanwhile."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._ask(names))
            self._learning.add_done_callback(_heard)
        return self._learning

    async def _ask(self, names: LiveNames) -> None:
        asked_at_s = monotonic_s()
        rows = await self._rows(LIVE)
        live = {row["view_name"]: LiveView(row["version"], Keeper(row["keeper"]), row["fold"]) for row in rows}
        names.learn(live, asked_at_s)

    async def _rows(self, cql: str, *values: object) -> list[cassandra.Row]:
        statement = self._prepared.get(cql)
        if statement is None:
            statement = self._prepared[cql] = await self._session.prepare(cql)
        return await self._session.execute(statement, values)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _heard(learning: "asyncio.Task[None]") -> None:
    """Take its error from a task that nobody waits for any more: whoever read beside it failed as well."""
    if not learning.cancelled():
        learning.exception()


def postgres_driver(settings: Settings) -> Driver[postgres.Pool]:
    """Postgres, as a pool."""
    return Driver(
        "postgres",
        connect=lambda: postgres.connect_pool(settings, role=postgres.Role.QUERY),
        ping=lambda pool: pool.fetchval("select count(*) from (select from catalog_titles limit 1) as any_title"),
        close=lambda pool: pool.close(),
        failures=POSTGRES_FAILURES,
    )


def cassandra_driver(settings: Settings) -> Driver[Cql]:
    """Cassandra or ScyllaDB, by prepared statements."""

    names = LiveNames("cassandra", live_views.table_in_cassandra, settings.view_live_kept_s)

    async def connect() -> Cql:
        return Cql(await cassandra.Cassandra.connect(settings), names)

    return Driver(
        "cassandra",
        connect=connect,
        ping=lambda cql: cql.rows("select release_version from system.local"),
        close=Cql.close,
        failures=CASSANDRA_FAILURES,
    )


def redis_driver(settings: Settings) -> Driver[RedisReads]:
    """Redis or Valkey; its client connects by itself when it is used."""

    names = LiveNames("redis", live_views.name_in_redis, settings.view_live_kept_s)

    async def connect() -> RedisReads:
        return RedisReads(
            redis_client.connect(settings),
            max_reads=settings.redis_pipeline_max_reads,
            timeout_s=settings.query_timeout_s,
            names=names,
        )

    return Driver(
        "redis",
        connect=connect,
        ping=RedisReads.ping,
        close=RedisReads.close,
        failures=REDIS_FAILURES,
    )
