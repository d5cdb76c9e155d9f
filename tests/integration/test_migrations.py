"""`playhead migrate` on real servers."""

import asyncio
import os
import subprocess
import sys

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from events.topics import CATALOG, PLAYBACK
from infra.cassandra import Cassandra
from infra.event_log import WrongPartitionCount, create_partitions
from infra.migrate import migrate
from infra.postgres import Pool
from infra.settings import Settings
from projections.app import postgres_views
from projections.stores.ddl import table_of

pytestmark = pytest.mark.integration


async def test_migrating_twice_changes_nothing(live: Settings, postgres: Pool) -> None:
    before = await postgres.fetch("select table_name, column_name from information_schema.columns order by 1, 2")
    said: list[str] = []
    await migrate(live, said.append)
    assert sorted(said) == [
        "Cassandra: at the newest migration",
        "Kafka: topics are there",
        "Postgres: at the newest revision",
    ]
    assert before == await postgres.fetch(
        "select table_name, column_name from information_schema.columns order by 1, 2"
    )


async def test_processes_that_migrate_at_once_all_succeed(live: Settings) -> None:
    """From nothing: another database and keyspace, so that each of them has everything to do."""
    administrator = live.postgres_dsn
    name = f"race_{os.getpid()}"
    await _execute(administrator, f"create database {name}")
    environment = {
        **os.environ,
        "PLAYHEAD_KAFKA_BOOTSTRAP": live.kafka_bootstrap,
        "PLAYHEAD_POSTGRES_DSN": administrator.rpartition("/")[0] + f"/{name}",
        "PLAYHEAD_CASSANDRA_HOST": live.cassandra_host,
        "PLAYHEAD_CASSANDRA_PORT": str(live.cassandra_port),
        "PLAYHEAD_CASSANDRA_KEYSPACE": name,
    }
    try:
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "playhead", "migrate", env=environment, stderr=subprocess.PIPE
            )
            for _ in range(3)
        ]
        for process in processes:
            _, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
    finally:
        await _execute(administrator, f"drop database {name} with (force)")
        cassandra = await Cassandra.connect(live)
        await cassandra.execute(f"drop keyspace {name}")
        await cassandra.close()


async def test_topics_have_their_partitions_and_settings(live: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=live.kafka_bootstrap)
    await admin.start()
    try:
        described = {topic["topic"]: topic for topic in await admin.describe_topics([CATALOG.name, PLAYBACK.name])}
        assert len(described[CATALOG.name]["partitions"]) == live.log_partitions
        assert len(described[PLAYBACK.name]["partitions"]) == live.playback_partitions
        [reply] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, PLAYBACK.name)])
        configured = {entry[0]: entry[1] for entry in reply.resources[0][4]}
        assert configured["retention.ms"] == "-1"
        assert configured["min.insync.replicas"] == str(live.min_insync_replicas)
    finally:
        await admin.close()


async def test_another_number_of_log_partitions_is_refused(live: Settings) -> None:
    with pytest.raises(WrongPartitionCount, match=str(live.log_partitions)):
        await create_partitions(live.model_copy(update={"log_partitions": live.log_partitions + 1}))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def test_what_a_declaration_prints_makes_a_table(live: Settings, postgres: Pool) -> None:
    async with postgres.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        await connection.execute("create schema printed; set local search_path to printed")
        for view in postgres_views(live):
            await connection.execute(table_of(view))
        made = await connection.fetch("select table_name from information_schema.tables where table_schema = 'printed'")
        await undone.rollback()
    assert {row["table_name"] for row in made} == {view.name for view in postgres_views(live)}
