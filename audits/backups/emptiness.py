"""Whether there is anything yet where a backup is to be restored."""

from typing import Final

import redis.exceptions
from cassandra import DriverException, InvalidRequest
from cassandra.cluster import NoHostAvailable

from audits.backups.manifest import Backup, BackupRefused
from audits.backups.rows import check_empty
from audits.backups.topics import looking
from infra.cassandra import TABLES, Cassandra
from infra.postgres import connect as connect_postgres
from infra.redis import connect as connect_redis
from infra.settings import Settings

OF_MIGRATIONS: Final = "migration"


async def check(settings: Settings, backup: Backup) -> None:
    """Raises BackupRefused, naming what is not empty, or does not answer."""
    await _postgres(settings, backup)
    async with looking(settings) as topics:
        await topics.check_empty(backup.topics)
    await _redis(settings)
    await _cassandra(settings)


async def _postgres(settings: Settings, backup: Backup) -> None:
    connection = await connect_postgres(settings)
    try:
        await check_empty(connection, backup.revision)
    finally:
        await connection.close()


async def _redis(settings: Settings) -> None:
    client = connect_redis(settings)
    try:
        if keys := await client.dbsize():
            raise BackupRefused(f"Redis is not empty: it has {keys} keys; a restore is into empty servers alone")
    except redis.exceptions.RedisError as error:
        raise BackupRefused(f"Redis does not answer: {error}") from error
    finally:
        await client.aclose()


async def _cassandra(settings: Settings) -> None:
    try:
        opened = await Cassandra.connect(settings, keyspace="")
    except NoHostAvailable as error:
        raise BackupRefused(f"Cassandra does not answer: {error}") from error
    try:
        for row in await opened.execute(TABLES, (settings.cassandra_keyspace,)):
            table = f"{settings.cassandra_keyspace}.{row['table_name']}"
            if row["table_name"] != OF_MIGRATIONS and await opened.execute(f"select * from {table} limit 1"):
                raise BackupRefused(f"Cassandra is not empty: {table} has rows; a restore is into empty servers alone")
    except (DriverException, InvalidRequest) as error:
        raise BackupRefused(f"Cassandra does not say whether it is empty: {error}") from error
    finally:
        await opened.close()
