"""`playhead migrate`: topics, Postgres and Cassandra brought to what this version needs. Safe to repeat and to race."""

import asyncio
from collections.abc import Callable

from infra import cassandra, event_log, kafka, postgres
from infra.settings import Settings


async def migrate(settings: Settings, say: Callable[[str], None]) -> None:
    """Migrate all three at the same time; `say` gets a line for each."""
    await asyncio.gather(_postgres(settings, say), _kafka(settings, say), _cassandra(settings, say))


async def _postgres(settings: Settings, say: Callable[[str], None]) -> None:
    await postgres.migrate(settings)
    await event_log.create_partitions(settings)
    say("Postgres: at the newest revision")


async def _kafka(settings: Settings, say: Callable[[str], None]) -> None:
    created = await kafka.migrate(settings)
    say(f"Kafka: created {', '.join(created)}" if created else "Kafka: topics are there")


async def _cassandra(settings: Settings, say: Callable[[str], None]) -> None:
    applied = await cassandra.migrate(settings)
    say(f"Cassandra: applied {', '.join(applied)}" if applied else "Cassandra: at the newest migration")
