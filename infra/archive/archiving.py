"""The archiver: reads every partition from where the manifest says that the archive ends, and writes it file by file.

The manifest is its only position, and it is in no group: several may run, all do the same, and at each offset one wins.
Whatever is away is waited out with what is in hand; meanwhile nothing more is fetched.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive import metrics
from infra.archive.buffers import Buffers, Limits
from infra.archive.cutting import Tail, tail_of, write_messages
from infra.archive.errors import ArchiveDamaged
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.archive.writing import PlaceTaken
from infra.clock import epoch_s, monotonic_s
from infra.kafka import CLIENT_ID, access
from infra.settings import Settings
from infra.telemetry import log

ALL_TOPICS: Final = tuple(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))
AWAY: Final = (OSError, TimeoutError, KafkaError)
FIRST_PAUSE_S: Final = 0.1
MEASURED_EVERY_S: Final = 1.0


class Archiver:
    """Archives until stop(). `trouble`: why nothing can be archived now, or None; `refused`: partitions that are not,
    with the reason.
    """

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive = archive
        self._settings = settings
        self._topics = settings.archive_topics or ALL_TOPICS
        self._stopped = asyncio.Event()
        self._tails: dict[TopicPartition, Tail] = {}
        self._buffers = Buffers(Limits.of(settings))
        self._next: dict[TopicPartition, int] = {}
        self._look_at_s = 0.0
        self._measure_at_s = 0.0
        self.trouble: str | None = "not started"
        self.refused: dict[TopicPartition, str] = {}

    def stop(self) -> None:
        """End; what is in hand and not written is read again by who comes next."""
        self._stopped.set()

    async def missing(self) -> dict[str, str]:
        """What readiness shows."""
        trouble = {"archive": self.trouble} if self.trouble else {}
        return trouble | {f"{place.topic}:{place.partition}": why for place, why in self.refused.items()}

    async def run(self) -> None:
        """Kafka or the store away is waited out, with pauses up to archive_retry_max_s."""
        pause_s = FIRST_PAUSE_S
        while not self._stopped.is_set():
            consumer = self._new_consumer()
            try:
                await consumer.start()
                while not self._stopped.is_set():
                    await self._round(consumer)
                    self.trouble, pause_s = None, FIRST_PAUSE_S
            except AWAY as error:
                self.trouble = repr(error)
                log.warning("archive_interrupted", reason=self.trouble)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, self._settings.archive_retry_max_s)
            finally:
                await consumer.stop()
                self._look_at_s = 0.0

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **access(self._settings),
            client_id=f"{CLIENT_ID}-archive",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=self._settings.fetch_max_bytes,
            max_partition_fetch_bytes=self._settings.partition_fetch_max_bytes,
        )

    async def _round(self, consumer: AIOKafkaConsumer) -> None:
        if monotonic_s() >= self._look_at_s:
            await self._look(consumer)
            self._look_at_s = monotonic_s() + self._settings.archive_partitions_interval_s
        await (self._fetch(consumer) if self._tails else self._pause(self._settings.archive_poll_s))
        for place in self._buffers.due(monotonic_s()):
            await self._write(consumer, place)
        self._measure(consumer)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Find the partitions that are not archived yet, and begin each where its archive ends."""
        cluster = await consumer._client.fetch_all_metadata()
        places = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        new = [place for place in places if place not in self._tails]
        first, end = await consumer.beginning_offsets(new), await consumer.end_offsets(new)
        for place in new:
            await self._begin(place, first[place], end[place])
        if set(self._tails) != consumer.assignment():
            self._assign(consumer)
        for place in self._tails.keys() & new:
            consumer.seek(place, self._next[place])

    async def _begin(self, place: TopicPartition, first: int, end: int) -> None:
        """`first` and `end`: what Kafka has of it."""
        try:
            tail = await asyncio.to_thread(tail_of, self._archive, place.topic, place.partition)
        except ArchiveDamaged as error:
            self._refuse(place, str(error))
            return
        if tail.end > end:
            self._refuse(place, f"Kafka ends at {end}, and its archive at {tail.end}: it is not what was archived")
            return
        if tail.end < first:
            log.error("archive_gap", topic=place.topic, partition=place.partition, archived=tail.end, kafka=first)
        self.refused.pop(place, None)
        self._tails[place], self._next[place] = tail, max(tail.end, first)

    def _refuse(self, place: TopicPartition, why: str) -> None:
        log.error("archive_refused", topic=place.topic, partition=place.partition, reason=why)
        self.refused[place] = why
        self._tails.pop(place, None)

    def _assign(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign(list(self._tails))
        for place in self._tails:
            consumer.seek(place, self._next[place])

    async def _fetch(self, consumer: AIOKafkaConsumer) -> None:
        wait_ms = int(1000 * self._settings.archive_poll_s)
        try:
            fetched = await consumer.getmany(timeout_ms=wait_ms, max_records=self._settings.archive_fetch_records)
        except OffsetOutOfRangeError:  # Kafka lost what was next: what it has, and the gap, are looked at again
            for place in self._buffers.places():
                await self._write(consumer, place)
            self._tails, self._look_at_s = {}, 0.0
            return
        for place, messages in fetched.items():
            if place not in self._tails:
                continue
            self._buffers.add(place, messages, monotonic_s())
            self._next[place] = messages[-1].offset + 1

    async def _write(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        """Write what is held of a partition. What cannot be written for another reason than that the store is away is
        begun anew at the archive's end.
        """
        try:
            await self._write_all(place, self._buffers.take(place))
        except PlaceTaken:
            metrics.PLACES_LOST.inc()
            self._begin_anew(place)
        except ArchiveDamaged as error:
            self._refuse(place, str(error))
            self._assign(consumer)
        except BaseException:
            self._begin_anew(place)
            raise

    async def _write_all(self, place: TopicPartition, messages: Sequence[Any]) -> None:
        pause_s = FIRST_PAUSE_S
        while messages and not self._stopped.is_set():
            try:
                await asyncio.to_thread(self._write_now, place, messages)
            except OSError as error:
                self.trouble = repr(error)
                log.warning("archive_waits_for_its_store", reason=self.trouble)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, self._settings.archive_retry_max_s)
            messages = [each for each in messages if each.offset >= self._tails[place].end]

    def _write_now(self, place: TopicPartition, messages: Sequence[Any]) -> None:
        for file in write_messages(self._archive, messages, self._tails[place]):
            self._tails[place] = Tail(file.end, file.last_time)
            _count(file)

    def _begin_anew(self, place: TopicPartition) -> None:
        """Ask the manifest where the archive of a partition ends, before anything more of it is fetched."""
        del self._tails[place]
        self._look_at_s = 0.0

    def _measure(self, consumer: AIOKafkaConsumer) -> None:
        if monotonic_s() < self._measure_at_s:
            return
        self._measure_at_s = monotonic_s() + MEASURED_EVERY_S
        records: dict[str, int] = dict.fromkeys(self._topics, 0)
        oldest_ms: dict[str, int] = {}
        for place, tail in self._tails.items():
            records[place.topic] += max((consumer.highwater(place) or 0) - tail.end, 0)
            if (since_ms := self._buffers.oldest_ms(place)) is not None:
                oldest_ms[place.topic] = min(since_ms, oldest_ms.get(place.topic, since_ms))
        for topic, lag in records.items():
            metrics.LAG_RECORDS.labels(topic).set(lag)
            age_s = epoch_s() - oldest_ms[topic] / 1000 if topic in oldest_ms else 0
            metrics.LAG_SECONDS.labels(topic).set(max(age_s, 0))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


def _count(file: ArchivedFile) -> None:
    metrics.RECORDS.labels(file.topic).inc(file.rows)
    metrics.BYTES.labels(file.topic).inc(file.uncompressed_bytes)
    metrics.FILE_BYTES.labels(file.topic).inc(file.bytes)
    metrics.FILES.labels(str(file.level)).inc()
    metrics.MISSING.labels(file.topic).inc(file.missing)
