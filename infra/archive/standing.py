"""How the archive stands to Kafka: by partition, what it has and what it has not yet."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from infra.archive.archiving import ALL_TOPICS
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access
from infra.settings import Settings


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Of a partition. `archived_until` and `kafka_end`: the offset after the last; `kafka_first`: the first that Kafka
    still has; `missing`: offsets that Kafka had lost before they were archived; `last_time`: of the newest that is
    archived, in microseconds since 1970; `file_bytes` of `uncompressed_bytes` of keys and values.
    """

    topic: str
    partition: int
    archived_until: int
    kafka_first: int
    kafka_end: int
    lag: int
    missing: int
    files: int
    file_bytes: int
    uncompressed_bytes: int
    last_time: int | None


async def standing(archive: Archive, settings: Settings) -> list[Standing]:
    """Of every partition that Kafka or the archive has, in order. Raises KafkaError, ArchiveAway, ArchiveDamaged."""
    consumer = AIOKafkaConsumer(**access(settings), client_id=CLIENT_ID, enable_auto_commit=False)
    await consumer.start()
    try:
        cluster = await consumer._client.fetch_all_metadata()
        topics = settings.archive_topics or ALL_TOPICS
        places = [TopicPartition(topic, each) for topic in topics for each in cluster.partitions_for_topic(topic) or ()]
        first, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    finally:
        await consumer.stop()
    archived = await asyncio.to_thread(archive.partitions)
    known = sorted({*((place.topic, place.partition) for place in places), *archived})
    return [
        _of(place, await asyncio.to_thread(archive.files, *place), first.get(place, 0), end.get(place, 0))
        for place in (TopicPartition(*each) for each in known)
    ]


def _of(place: TopicPartition, files: Sequence[ArchivedFile], first: int, end: int) -> Standing:
    until = files[-1].end if files else 0
    return Standing(
        topic=place.topic,
        partition=place.partition,
        archived_until=until,
        kafka_first=first,
        kafka_end=end,
        lag=max(end - max(until, first), 0),
        missing=sum(file.missing for file in files),
        files=len(files),
        file_bytes=sum(file.bytes for file in files),
        uncompressed_bytes=sum(file.uncompressed_bytes for file in files),
        last_time=files[-1].last_time if files else None,
    )
