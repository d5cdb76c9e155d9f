"""An installation to be tampered with: a database of its own, topics of its own, and an archive in a directory, all of
which hold the same events.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from audits.verifying.findings import Finding
from audits.verifying.of_archive import ArchiveCheck
from audits.verifying.of_kafka import KafkaCheck, Sides
from audits.verifying.of_log import LogCheck
from audits.verifying.tasks import State
from commands.handling import Handling
from events.envelope import CONTENT_TYPE
from events.topics import POSITION_HEADER
from infra.archive.records import Record, envelope_of
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.clock import utc_now
from infra.event_log import EventLog, LogRow, create_partitions, partition_of
from infra.ids import new_id
from infra.kafka import access
from infra.postgres import Connection, Pool, connect, connect_pool, migrate
from infra.settings import Settings
from tests.integration.test_event_log import add, stream

PARTITIONS = 2
STREAMS = 3
EACH = 12
FILE = 10


class Message(NamedTuple):
    """A record, to be produced."""

    key: bytes
    value: bytes
    position: int | None


@asynccontextmanager
async def recorded(live: Settings) -> AsyncIterator[Settings]:
    """Settings of a database in which partition 0 holds EACH events of STREAMS streams."""
    name = f"tampered_{new_id().replace('-', '')}"
    administrator = await connect(live)
    await administrator.execute(f"create database {name}")
    dsn = live.postgres_dsn.rpartition("/")[0] + f"/{name}"
    ours = live.model_copy(update={"postgres_dsn": dsn, "log_partitions": PARTITIONS})
    try:
        await migrate(ours)
        await create_partitions(ours)
        pool = await connect_pool(ours, size=2)
        await _record(Handling(EventLog(pool, ours), utc_now))
        await pool.execute("update relay_lease set position = $1 where partition = 0", STREAMS * EACH)
        await pool.close()
        yield ours
    finally:
        await administrator.execute(f"drop database {name} with (force)")
        await administrator.close()


async def _record(handling: Handling) -> None:
    targets = [target for target in (stream() for _ in range(40)) if partition_of(target.stream_id, PARTITIONS) == 0]
    for _ in range(EACH):
        for target in targets[:STREAMS]:
            await add(handling, target)


def messages_of(rows: Iterable[LogRow]) -> list[Message]:
    """What the relay makes of rows."""
    return [Message(row.stream_id.encode(), row.body, row.position) for row in rows]


@asynccontextmanager
async def relayed(settings: Settings, messages: Sequence[Message]) -> AsyncIterator[str]:
    """A topic of catalog's that holds these records."""
    topic = f"catalog.tampered-{new_id()}"
    administrator = AIOKafkaAdminClient(**access(settings))
    await administrator.start()
    try:
        await administrator.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        await produce(settings, topic, messages)
        yield topic
        await administrator.delete_topics([topic])
    finally:
        await administrator.close()


async def produce(settings: Settings, topic: str, messages: Iterable[Message]) -> None:
    """As the relay does, but that no batch is compressed: its bytes are to be found."""
    producer = AIOKafkaProducer(**access(settings), enable_idempotence=True, acks="all")
    await producer.start()
    try:
        for key, value, position in messages:
            headers = [("content-type", CONTENT_TYPE.encode())]
            headers += [] if position is None else [(POSITION_HEADER, b"%d" % position)]
            await producer.send_and_wait(topic, value, key=key, partition=0, headers=headers)
    finally:
        await producer.stop()


async def on_kafka(settings: Settings, topic: str) -> list[Any]:
    """The records of a topic."""
    place = TopicPartition(topic, 0)
    async with reading(settings) as consumer:
        end = (await consumer.end_offsets([place]))[place]
        consumer.assign([place])
        consumer.seek(place, 0)
        found: list[Any] = []
        while len(found) < end:
            found += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
    return found


def archived(settings: Settings, directory: Path, messages: Sequence[Any], *, topic: str | None = None) -> Archive:
    """An archive in a directory, that holds these records of a topic, or as if they were another's."""
    archive = Archive.open(settings.model_copy(update={"state_dir": directory}))
    records, last_us = [], 0
    for message in messages:
        recorded_at = envelope_of(message.value).recordedtime
        last_us = max(last_us, round(recorded_at.timestamp() * 1e6) if recorded_at else 0)
        records.append(Record.of(message, last_us)._replace(topic=topic or message.topic))
    for first in range(0, len(records), FILE):
        write_file(archive, records[first : first + FILE])
    return archive


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer in no group."""
    consumer = AIOKafkaConsumer(**access(settings), enable_auto_commit=False, auto_offset_reset="none")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def _sides(settings: Settings, pool: "Pool | Connection", archive: Archive, topic: str) -> Sides:
    return Sides(pool, archive, settings, frozenset({topic}))  # type: ignore[arg-type]  # a connection reads alike


async def log_findings(
    settings: Settings, pool: "Pool | Connection", checkpoints: Sequence[Any] = (), *, state: State | None = None
) -> list[Finding]:
    """What verifying the log finds."""
    check = LogCheck(pool, settings, 0, checkpoints)  # type: ignore[arg-type]  # a connection reads alike
    return [finding async for update in check.run("log:0", state) for finding in update.findings]


async def kafka_findings(settings: Settings, pool: "Pool | Connection", archive: Archive, topic: str) -> list[Finding]:
    """What verifying Kafka finds."""
    async with reading(settings) as consumer:
        check = KafkaCheck(_sides(settings, pool, archive, topic), consumer, topic, 0)
        return [finding async for update in check.run("kafka", None) for finding in update.findings]


async def archive_findings(
    settings: Settings, pool: "Pool | Connection", archive: Archive, topic: str
) -> list[Finding]:
    """What verifying the archive finds."""
    fresh = Archive.open(archive.settings)
    check = ArchiveCheck(_sides(settings, pool, fresh, topic), topic, 0, [])
    return [finding async for update in check.run("archive", None) for finding in update.findings]
