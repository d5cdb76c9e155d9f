"""How the query API reads each of its stores: the clients, and what a failure of each looks like."""

import asyncpg
import redis.exceptions
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException

from infra import cassandra, live_views, postgres
from infra import redis as redis_client
from infra.settings import Settings
from query_api.live_views import LiveNames
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
    """Cassandra's tables, read by prepared statements: each is prepared once, when it is first used."""

    def __init__(self, session: cassandra.Cassandra) -> None:
        self._session = session
        self._prepared: dict[str, object] = {}

    async def rows(self, cql: str, *values: object) -> list[cassandra.Row]:
        """The rows of a statement that names its own limit."""
        statement = self._prepared.get(cql)
        if statement is None:
            statement = self._prepared[cql] = await self._session.prepare(cql)
        return await self._session.execute(statement, values)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


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

    async def connect() -> Cql:
        return Cql(await cassandra.Cassandra.connect(settings))

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
        return RedisReads(redis_client.connect(settings), max_reads=settings.redis_pipeline_max_reads, names=names)

    return Driver(
        "redis",
        connect=connect,
        ping=RedisReads.ping,
        close=RedisReads.close,
        failures=REDIS_FAILURES,
    )
