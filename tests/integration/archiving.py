"""A topic of a test's own, archivers of it, and what both hold of it in the end."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from infra.archive.archiving import Archiver
from infra.archive.store import Archive
from infra.ids import new_id
from infra.kafka import new_producer
from infra.settings import Settings
from tests.infra.archive.history import started
from tests.integration.projection_workers import PATIENCE_S

PARTITIONS = 2
SMALL = {"archive_file_max_age_s": 0.1, "archive_poll_s": 0.05, "archive_retry_max_s": 0.2}
"""Files are written soon."""


class Held(NamedTuple):
    """A record as bytes: what must be the same in Kafka and in the archive."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


async def new_topic(live: Settings, partitions: int = PARTITIONS) -> str:
    """A topic of the test's own."""
    topic = f"archive-{new_id()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=live.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()
    return topic


def archiving(live: Settings, topic: str, directory: Path, **changes: object) -> Settings:
    """Settings of an archive of this topic."""
    return live.model_copy(update={"state_dir": directory, "archive_topics": (topic,), **SMALL, **changes})


async def produce(live: Settings, topic: str, numbers: Iterable[int], partitions: int = PARTITIONS) -> None:
    """Put events on a topic, in turn on its partitions; a few are nothing that anybody could read."""
    producer = new_producer(live)
    await producer.start()
    try:
        for number in numbers:
            value = b"\xff nothing" if number % 50 == 49 else msgspec.json.encode(started(number))
            headers = [("odd", b"\x00")] if number % 7 == 0 else []
            await producer.send(topic, value, key=b"%d" % number, partition=number % partitions, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[Archiver]:
    """An archiver in this process."""
    archiver = Archiver(Archive.open(settings), settings)
    running = asyncio.create_task(archiver.run())
    try:
        yield archiver
    finally:
        archiver.stop()
        await running


async def on_kafka(live: Settings, topic: str) -> list[Held]:
    """What Kafka holds of a topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Held] = []
    try:
        cluster = await consumer._client.fetch_all_metadata()
        places = [TopicPartition(topic, each) for each in cluster.partitions_for_topic(topic)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        left = sum(ends.values()) - sum((await consumer.beginning_offsets(places)).values())
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < left:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [Held(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in records]
    finally:
        await consumer.stop()
    return sorted(found, key=lambda each: each[:2])


def in_archive(settings: Settings, topic: str) -> list[Held]:
    """What the archive holds of a topic, in the order in which it gives it."""
    archive = Archive.open(settings)
    return [
        Held(each.partition, each.offset, each.timestamp_ms, each.key, each.value, each.headers)
        for of, partition in archive.partitions()
        if of == topic
        for each in archive.records(topic, partition, first=0)
    ]


async def count(archive: Archive, topic: str) -> int:
    """How many records of a topic are archived."""
    return sum(file.rows for of, each in archive.partitions() if of == topic for file in archive.files(of, each))


def is_monotone(settings: Settings, topic: str, partition: int) -> bool:
    """Whether history time never runs backwards."""
    times = [each.history_time_us for each in Archive.open(settings).records(topic, partition, first=0)]
    return times == sorted(times)
