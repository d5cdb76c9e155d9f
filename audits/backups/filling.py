"""Fills empty topics from the archive: every record again at its offset, with its key, value, headers and time."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from audits.backups.manifest import BackupRefused, Part, Root
from audits.backups.showing import Show, Step
from audits.backups.topics import in_chunks
from infra.archive.merkle import Tree, leaf
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.kafka import CLIENT_ID, access, new_producer
from infra.settings import Settings


class Filling:
    """Some partitions side by side. What is read is held against the backup's Merkle roots on the way."""

    def __init__(self, settings: Settings, archive: Archive, roots: Sequence[Root], show: Show) -> None:
        self._settings = settings
        self._archive = archive
        self._roots = {(root.topic, root.partition, root.first): root for root in roots}
        self._show = show
        self._done = self._total = 0

    async def run(self, parts: Sequence[Part]) -> int:
        """Fill them; how many records that were. Raises BackupRefused, KafkaError, ArchiveDamaged, OSError."""
        self._total = sum(part.end - part.first for part in parts)
        room = asyncio.Semaphore(self._settings.restore_max_concurrency)
        producer = new_producer(self._settings, batch_max_bytes=self._settings.relay_batch_max_bytes)
        await producer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in parts:
                    tasks.create_task(self._within(room, producer, part))
        finally:
            await producer.stop()
        await self._begin_late([part for part in parts if part.first])
        return self._done

    async def _within(self, room: asyncio.Semaphore, producer: AIOKafkaProducer, part: Part) -> None:
        async with room:
            await self._fill(producer, part)

    async def _fill(self, producer: AIOKafkaProducer, part: Part) -> None:
        place = TopicPartition(part.topic, part.partition)
        at = 0
        async for records in self._records(part):
            for batch, count in _batches(producer, records):
                acknowledged = await producer.send_batch(batch, place.topic, partition=place.partition)
                offset = (await acknowledged).offset
                if offset != at:
                    raise BackupRefused(
                        f"{place.topic}/{place.partition}: the record of offset {at} got {offset}; somebody else "
                        "produces, or the topic was not empty: begin again with empty servers"
                    )
                at += count
            self._done += sum(record.offset >= part.first for record in records)
            self._show(Step("filling Kafka", self._done, self._total))
        if at != part.end:
            raise BackupRefused(f"{place.topic}/{place.partition}: the archive ends at {at}, the backup at {part.end}")

    async def _records(self, part: Part) -> AsyncIterator[Sequence[Record]]:
        """Those of a partition; before the first that anybody has, empty ones in the place of each."""
        most = self._settings.archive_read_batch_records
        async for chunk in in_chunks(_nothing(part), most):
            yield chunk
        checking = Checking(part, self._roots)
        archived = self._archive.records(part.topic, part.partition, first=part.first, last=part.end - 1)
        async for chunk in in_chunks(archived if part.end > part.first else iter(()), most):
            await asyncio.to_thread(checking.take, chunk)
            yield chunk

    async def _begin_late(self, parts: Sequence[Part]) -> None:
        """Have partitions begin with their first record again."""
        if not parts:
            return
        admin = AIOKafkaAdminClient(**access(self._settings), client_id=CLIENT_ID)
        await admin.start()
        try:
            await admin.delete_records(
                {TopicPartition(part.topic, part.partition): RecordsToDelete(part.first) for part in parts}
            )
        finally:
            await admin.close()


class Checking:
    """Holds records, as they come, against the roots of the files that they were in when the backup was made."""

    def __init__(self, part: Part, roots: dict[tuple[str, int, int], Root]) -> None:
        self._part = part
        self._roots = roots
        self._root: Root | None = None
        self._tree = Tree()

    def take(self, records: Sequence[Record]) -> None:
        """The next ones. Raises BackupRefused."""
        for record in records:
            if self._root is None:
                self._root = self._roots.get((record.topic, record.partition, record.offset))
                self._tree = Tree()
            if self._root is None:
                raise BackupRefused(f"{record.topic}/{record.partition}: the backup has no root from {record.offset}")
            self._tree.append(
                leaf(record.topic, record.partition, record.offset, record.position, record.key, record.value)
            )
            if record.offset == self._root.last:
                self._end(self._root)

    def _end(self, root: Root) -> None:
        if (found := self._tree.root().hex()) != root.root:
            raise BackupRefused(
                f"{root.topic}/{root.partition}: the records {root.first} to {root.last} of the archive are not those "
                f"of the backup: their Merkle root is {found} and was {root.root}"
            )
        self._root = None


def _nothing(part: Part) -> Iterator[Record]:
    for offset in range(part.first):
        yield Record(part.topic, part.partition, offset, 0, 0, None, b"", None, ())


def _batches(producer: AIOKafkaProducer, records: Sequence[Record]) -> Iterator[tuple[BatchBuilder, int]]:
    """Records as full batches, and how many each has."""
    batch, count = producer.create_batch(), 0
    for record in records:
        if not _appended(batch, record):
            yield batch, count
            batch, count = producer.create_batch(), 0
            _appended(batch, record)  # a batch's first record has room, however long
        count += 1
    if count:
        yield batch, count


def _appended(batch: BatchBuilder, record: Record) -> bool:
    return (
        batch.append(timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers))
        is not None
    )
