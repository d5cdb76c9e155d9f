"""Cassandra or ScyllaDB: the session as awaitables, and the migrations (numbered .cql files, each applied once)."""

import asyncio
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, ResponseFuture, Session
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import Statement, dict_factory

from infra.clock import utc_now
from infra.settings import Settings
from infra.tls import tls_context

MIGRATIONS = Path(__file__).parent / "migrations" / "cassandra"
ALTERS: Final = re.compile(r"(?P<alter>alter\s+table\s+)(?P<table>\w+)", re.IGNORECASE)
TABLES: Final = "select table_name from system_schema.tables where keyspace_name = %s"

Row = dict[str, Any]  # a row as CQL types map to Python: the reader of each table gives it its struct


class Cassandra:
    """A session whose requests are awaited on the event loop that made it. Errors are the driver's own."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def connect(cls, settings: Settings, *, keyspace: str | None = None) -> "Cassandra":
        """Connect, in a thread: the driver blocks while it does. `keyspace` "" uses none."""
        cluster = _cluster(settings)
        wanted = settings.cassandra_keyspace if keyspace is None else keyspace
        try:
            return cls(await asyncio.to_thread(cluster.connect, wanted or None))
        except BaseException:
            await asyncio.to_thread(cluster.shutdown)  # its threads outlive a failed attempt
            raise

    async def prepare(self, cql: str) -> Any:
        """A prepared statement."""
        return await asyncio.to_thread(self.session.prepare, cql)

    def execute(self, statement: str | Statement, values: Sequence[object] | None = None) -> asyncio.Future[list[Row]]:
        """Send a statement; the rows of its first page when awaited."""
        future: asyncio.Future[list[Row]] = self._loop.create_future()
        response: ResponseFuture = self.session.execute_async(statement, values)
        response.add_callbacks(
            lambda rows: self._loop.call_soon_threadsafe(_resolve, future, rows or []),
            lambda error: self._loop.call_soon_threadsafe(_reject, future, error),
        )
        return future

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self.session.cluster.shutdown)


def _resolve(future: asyncio.Future[list[Row]], rows: list[Row]) -> None:
    if not future.done():
        future.set_result(list(rows))


def _reject(future: asyncio.Future[list[Row]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _cluster(settings: Settings) -> Cluster:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
        consistency_level=ConsistencyLevel.LOCAL_QUORUM,
        row_factory=dict_factory,
        request_timeout=settings.query_timeout_s,
    )
    secret = settings.cassandra_secret()
    return Cluster(
        [settings.cassandra_host],
        port=settings.cassandra_port,
        auth_provider=PlainTextAuthProvider(settings.cassandra_username, secret) if secret is not None else None,
        ssl_context=_tls(settings) if settings.cassandra_tls else None,
        connection_class=LibevConnection,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=settings.query_timeout_s,
        # The driver's own would wait up to ten minutes more after a long outage. None: never give up.
        reconnection_policy=ConstantReconnectionPolicy(settings.store_connect_retry_s, max_attempts=None),
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    return tls_context(
        settings.cassandra_ca_file,
        settings.cassandra_certificate_file,
        settings.cassandra_certificate_key_file,
        check_hostname=settings.cassandra_check_hostname,
    )


async def migrate(settings: Settings) -> list[str]:
    """Create the keyspace and apply each .cql file once; the names of those applied.

    Statements say IF NOT EXISTS and a file is recorded after it ran: two processes at once, or one that dies in the
    middle, apply a statement twice with no effect.
    """
    cassandra = await Cassandra.connect(settings, keyspace="")
    try:
        return await _apply(cassandra, settings)
    finally:
        await cassandra.close()


async def _apply(cassandra: Cassandra, settings: Settings) -> list[str]:
    keyspace = settings.cassandra_keyspace
    await cassandra.execute(
        f"create keyspace if not exists {keyspace} with replication = {settings.cassandra_replication}"
    )
    await asyncio.to_thread(cassandra.session.set_keyspace, keyspace)
    await cassandra.execute("create table if not exists migration (name text primary key, applied_at timestamp)")
    done = {row["name"] for row in await cassandra.execute("select name from migration")}
    files = [file for file in sorted(MIGRATIONS.glob("*.cql")) if file.stem not in done]
    for file in files:
        for statement in statements(file.read_text(), settings):
            tables = await cassandra.execute(TABLES, (keyspace,)) if ALTERS.match(statement) else []
            for each in of_versions(statement, [row["table_name"] for row in tables]):
                await cassandra.execute(each)
        await cassandra.execute("insert into migration (name, applied_at) values (%s, %s)", (file.stem, utc_now()))
    return [file.stem for file in files]


def of_versions(statement: str, tables: Sequence[str]) -> list[str]:
    """A statement, for every version of a view that is among the tables, if it alters one (ADR 21)."""
    if (alters := ALTERS.match(statement)) is None:
        return [statement]
    first = alters["table"]
    versions = [name for name in tables if name == first or re.fullmatch(rf"{first}__v\d+", name)]
    return [ALTERS.sub(rf"\g<alter>{name}", statement, count=1) for name in sorted(versions)]


def statements(cql: str, settings: Settings) -> list[str]:
    """The statements of a .cql file; $timeline_ttl_s, $history_ttl_s and $viewers_ttl_s come from settings."""
    lines = [line.partition("--")[0].rstrip() for line in cql.splitlines()]
    text = "\n".join(line for line in lines if line)
    kept_days = {
        "timeline": settings.timeline_ttl_days,
        "history": settings.history_ttl_days,
        "viewers": settings.viewers_ttl_days,
    }
    for name, days in kept_days.items():
        text = text.replace(f"${name}_ttl_s", str(days * 24 * 3600))
    return [statement.strip() for statement in text.split(";") if statement.strip()]
