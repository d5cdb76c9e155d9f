"""Kafka's side: where its topics end, whether they are empty, and what they hold beside the archive."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from audits.backups.manifest import BackupRefused, Part
from audits.backups.showing import Show, Step
from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access
from infra.settings import Settings

NAMES: Final = tuple(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))
PASSING: Final = frozenset({BACKFILL.name, *(topic.name for topic in DEAD_LETTERS)})
"""Topics that keep nothing for good, so that the first of it may be gone."""


class Topics:
    """Looks into Kafka, in no group. Its methods raise KafkaError."""

    def __init__(self, consumer: AIOKafkaConsumer, settings: Settings) -> None:
        self._consumer = consumer
        self._settings = settings

    async def partitions(self) -> dict[str, int]:
        """By topic that is there, how many partitions it has."""
        cluster = await self._consumer._client.fetch_all_metadata()
        found = {name: cluster.partitions_for_topic(name) for name in NAMES}
        return {name: len(partitions) for name, partitions in found.items() if partitions}

    async def bounds(self) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset of every partition, and the one after its last."""
        counts = await self.partitions()
        places = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
        first, end = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        return {place: (first[place], end[place]) for place in places}

    async def check_empty(self, wanted: dict[str, int]) -> None:
        """Raises BackupRefused where a topic has records, or has another number of partitions than the backup's."""
        for place, (_, end) in (await self.bounds()).items():
            if end:
                raise BackupRefused(
                    f"Kafka is not empty: {place.topic}/{place.partition} ends at {end}; a restore is into empty "
                    "servers alone"
                )
        await self.check_counts(wanted)

    async def check_counts(self, wanted: dict[str, int]) -> None:
        """The same of the numbers of partitions."""
        for name, count in (await self.partitions()).items():
            if name in wanted and count != wanted[name]:
                raise BackupRefused(
                    f"{name} has {count} partitions and the backup {wanted[name]}: delete that topic, and set "
                    "PLAYHEAD_LOG_PARTITIONS and PLAYHEAD_PLAYBACK_PARTITIONS to what the backup has"
                )

    async def compare(self, archive: Archive, parts: Sequence[Part], show: Show) -> list[str]:
        """Read back what is in Kafka of the archive; what is not the same, a line for the first of each partition."""
        bounds = await self.bounds()
        total, done, differ = sum(part.end - part.first for part in parts), 0, []
        for part in parts:
            place = TopicPartition(part.topic, part.partition)
            first, end = bounds.get(place, (0, 0))
            if end < part.end or (first > part.first and part.topic not in PASSING):
                differ.append(f"{part.topic}/{part.partition} has {first} to {end} in Kafka, not {part.end}")
            elif said := await self._compare(archive, place, max(part.first, first), part.end):
                differ.append(said)
            done += part.end - part.first
            show(Step("comparing Kafka with the archive", done, total))
        return differ

    async def _compare(self, archive: Archive, place: TopicPartition, begin: int, end: int) -> str | None:
        if begin >= end:
            return None
        self._consumer.assign([place])
        self._consumer.seek(place, begin)
        held = self._messages(place)
        archived = archive.records(place.topic, place.partition, first=begin, last=end - 1)
        async for records in in_chunks(archived, self._settings.archive_read_batch_records):
            for record in records:
                message = await anext(held)
                if not is_same(message, record):
                    return f"{place.topic}/{place.partition}: what Kafka has at {message.offset} is not in the archive"
                begin = record.offset + 1
        return None if begin == end else f"{place.topic}/{place.partition}: the archive ends at {begin}, before {end}"

    async def _messages(self, place: TopicPartition) -> AsyncIterator[Any]:
        while True:
            fetched = await self._consumer.getmany(place, timeout_ms=int(1000 * self._settings.produce_timeout_s))
            if not fetched:
                raise TimeoutError(f"Kafka sends nothing of {place.topic}/{place.partition}")
            for message in fetched[place]:
                yield message


@asynccontextmanager
async def looking(settings: Settings) -> AsyncIterator[Topics]:
    """Opens a consumer for it."""
    consumer = AIOKafkaConsumer(
        **access(settings), client_id=f"{CLIENT_ID}-backup", enable_auto_commit=False, auto_offset_reset="none"
    )
    try:
        await consumer.start()
        yield Topics(consumer, settings)
    finally:
        await consumer.stop()


def is_same(message: Any, record: Record) -> bool:
    """Whether a message of Kafka's client is what the archive has, to the byte."""
    return (message.offset, message.timestamp, message.key, message.value, tuple(message.headers)) == (
        record.offset,
        record.timestamp_ms,
        record.key,
        record.value,
        tuple(record.headers),
    )


async def in_chunks(records: Iterator[Record], count: int) -> AsyncIterator[list[Record]]:
    """What is read in a thread, some at a time."""
    while chunk := await asyncio.to_thread(lambda: list(islice(records, count))):
        yield chunk
