"""`playhead migrate`: topics, Postgres and Cassandra brought to what this version needs. Safe to repeat and to race."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaConnectionError
from cassandra.cluster import NoHostAvailable

from infra import cassandra, event_log, kafka, postgres
from infra.server_access import without_password
from infra.settings import Settings

Say = Callable[[str], None]


class Unmigrated(Exception):
    """A server could not be brought up to date; what was done stays, and migrating again goes on from there."""


async def migrate(settings: Settings, say: Say) -> None:
    """Migrate all three at the same time; `say` gets a line for each. Raises Unmigrated."""
    await asyncio.gather(
        _reaching("Postgres", without_password(settings.postgres_dsn), _postgres(settings, say)),
        _reaching("Kafka", settings.kafka_bootstrap, _kafka(settings, say)),
        _reaching("Cassandra", f"{settings.cassandra_host}:{settings.cassandra_port}", _cassandra(settings, say)),
    )


async def _reaching(server: str, address: str, migrating: Awaitable[None]) -> None:
    try:
        await migrating
    except (OSError, KafkaConnectionError, NoHostAvailable) as error:
        raise Unmigrated(f"{server} does not answer at {address}; start it (playhead up) or name another") from error
    except event_log.WrongPartitionCount as error:
        raise Unmigrated(str(error)) from error


async def _postgres(settings: Settings, say: Say) -> None:
    await postgres.migrate(settings)
    await event_log.create_partitions(settings)
    say("Postgres: at the newest revision")


async def _kafka(settings: Settings, say: Say) -> None:
    created = await kafka.migrate(settings)
    say(f"Kafka: created {', '.join(created)}" if created else "Kafka: topics are there")


async def _cassandra(settings: Settings, say: Say) -> None:
    applied = await cassandra.migrate(settings)
    say(f"Cassandra: applied {', '.join(applied)}" if applied else "Cassandra: at the newest migration")
