"""Where a cut falls in each partition: the offset after the last record that counts (ADR 30).

Of a time: the first record that was taken later, since history_time never runs backwards. The manifest of the archive
says in which file that is; in Kafka it lies at or after what its own timestamps say, and records are looked at from
there on. Of positions: the first record of a partition beyond the one that is named.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from audits.history.events import microseconds_of
from audits.sources import Source, SourceAway, Sources
from infra.archive.manifest import ArchivedFile
from infra.archive.records import envelope_of, position_of
from infra.archive.store import Archive
from infra.positions import Position
from projections.slabs import Partition

READ_MAX: Final = 5_000
COLUMNS: Final = ("offset", "history_time", "position")


class Beyond(Protocol):
    """Whether a record is beyond the cut; the first one that is ends its partition."""

    @property
    def from_us(self) -> int | None:
        """No record that was taken before is, in microseconds since 1970; None: nobody knows."""

    @property
    def end(self) -> int | None:
        """Where the partition ends, if that needs no looking."""

    def file(self, file: ArchivedFile) -> bool:
        """Whether some record of a file of the archive is."""

    def record(self, offset: int, time_us: int | None, position: int | None) -> bool:
        """`time_us`: when it was taken; None where it cannot be decoded."""


class BeyondTime:
    """Taken later than at a time."""

    end: int | None = None

    def __init__(self, at: datetime) -> None:
        self.from_us: int | None = microseconds_of(at)
        self._at_us = self.from_us

    def file(self, file: ArchivedFile) -> bool:
        """See Beyond."""
        return file.last_time > self._at_us

    def record(self, offset: int, time_us: int | None, position: int | None) -> bool:
        """See Beyond."""
        return time_us is not None and time_us > self._at_us


class BeyondPosition:
    """After a place in a partition: of a relayed topic the log's, of another Kafka's offset."""

    from_us: int | None = None

    def __init__(self, at: Position) -> None:
        self._at = at.position
        self._relayed = Partition(at.topic, at.partition).relayed
        self.end = None if self._relayed else at.position + 1

    def file(self, file: ArchivedFile) -> bool:
        """See Beyond."""
        last = file.last_position if self._relayed else file.last
        return last is not None and last > self._at

    def record(self, offset: int, time_us: int | None, position: int | None) -> bool:
        """See Beyond."""
        place = position if self._relayed else offset
        return place is not None and place > self._at


async def ends_of(
    sources: Sources, topics: Sequence[str], *, at: datetime | None = None, positions: Sequence[Position] = ()
) -> dict[Partition, int]:
    """By partition of these topics, the offset after the last record that counts. A partition that nothing bounds ends
    where it does now. Raises SourceAway, ArchiveDamaged.
    """
    async with _consumer(sources) as consumer:
        cluster = await consumer._client.fetch_all_metadata()
        partitions = [Partition(topic, each) for topic in topics for each in cluster.partitions_for_topic(topic) or ()]
        ends = await consumer.end_offsets([TopicPartition(*each) for each in partitions])
        found: dict[Partition, int] = {}
        for partition in sorted(partitions):
            end = int(ends[TopicPartition(*partition)])
            for beyond in _bounds(partition, at, positions):
                end = min(end, await _end(sources, consumer, partition, beyond, end))
            found[partition] = end
    return found


def _bounds(partition: Partition, at: datetime | None, positions: Sequence[Position]) -> list[Beyond]:
    named = [place for place in positions if place[:2] == partition]
    bounds: list[Beyond] = [BeyondPosition(max(named))] if named else []
    return [*bounds, BeyondTime(at)] if at is not None else bounds


async def _end(sources: Sources, consumer: AIOKafkaConsumer, partition: Partition, beyond: Beyond, end: int) -> int:
    if beyond.end is not None:
        return beyond.end
    archive = await sources.archive()
    archived = 0
    if archive is not None:
        file, archived = await sources.run(_file_beyond, archive, partition, beyond)
        if file is not None:
            return await sources.run(_in_file, archive, file, beyond)
    return await _in_kafka(sources, consumer, partition, beyond, (archived, end))


def _file_beyond(archive: Archive, partition: Partition, beyond: Beyond) -> tuple[ArchivedFile | None, int]:
    """The first file with a record that is beyond; and where the archive ends."""
    files = archive.files(*partition)
    return next(filter(beyond.file, files), None), files[-1].end if files else 0


def _in_file(archive: Archive, file: ArchivedFile, beyond: Beyond) -> int:
    for batch in archive.read(file, columns=COLUMNS):
        for offset, taken_at, position in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
            if beyond.record(offset, microseconds_of(taken_at), position):
                return int(offset)
    return file.end


async def _in_kafka(
    sources: Sources, consumer: AIOKafkaConsumer, partition: Partition, beyond: Beyond, between: tuple[int, int]
) -> int:
    """Look at the records from where the archive ends, or where Kafka's own timestamps say that it can be first."""
    place, (first, end) = TopicPartition(*partition), between
    held = await consumer.beginning_offsets([place])
    begin = max(first, int(held[place]), await _at_least(sources, consumer, place, beyond, end))
    if begin >= end:
        return end
    consumer.assign([place])
    consumer.seek(place, begin)
    at = begin
    while at < end:
        fetched = await consumer.getmany(
            place, timeout_ms=int(1000 * sources.settings.audits_source_timeout_s), max_records=READ_MAX
        )
        if not (records := fetched.get(place)):
            raise SourceAway.of(Source.KAFKA, f"{partition.topic}/{partition.partition} gives nothing from {at} on")
        for record in records:
            if record.offset >= end or _is_beyond(beyond, record):
                return min(int(record.offset), end)
        at = records[-1].offset + 1
    return end


def _is_beyond(beyond: Beyond, record: Any) -> bool:
    taken_at = envelope_of(record.value).recordedtime if beyond.from_us is not None else None
    time_us = None if taken_at is None else microseconds_of(taken_at)
    return beyond.record(record.offset, time_us, position_of(record.headers))


async def _at_least(
    sources: Sources, consumer: AIOKafkaConsumer, place: TopicPartition, beyond: Beyond, end: int
) -> int:
    if beyond.from_us is None:
        return 0
    apart = timedelta(seconds=sources.settings.as_of_clocks_apart_s)
    from_ms = max((beyond.from_us - apart // timedelta(microseconds=1)) // 1000, 0)
    found = (await consumer.offsets_for_times({place: from_ms}))[place]
    return end if found is None else int(found.offset)


@asynccontextmanager
async def _consumer(sources: Sources) -> AsyncIterator[AIOKafkaConsumer]:
    async with sources.consumer() as consumer:
        if consumer is None:
            raise SourceAway.of(Source.KAFKA, "it is left out, and where a cut falls is looked for there")
        yield consumer
