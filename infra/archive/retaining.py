"""Retention in Kafka: records go once they are old enough, and the archive has them whole, read back and compared, and
every projection has applied them. Otherwise it is refused, and said why.

The newest record of a partition always stays: the relay reads from it how far it has come.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive import metrics
from infra.archive.errors import ArchiveDamaged
from infra.archive.manifest import ArchivedFile
from infra.archive.readers import groups_of
from infra.archive.store import Archive
from infra.clock import Clock, utc_now
from infra.kafka import CLIENT_ID, access, retention_days_of
from infra.settings import Settings
from infra.telemetry import log


class OnKafka(NamedTuple):
    """What Kafka has of a partition: its first offset, and the one after its last; and by each group that must have
    applied it, the offset that the group applies next (None: it never said).
    """

    first: int
    end: int
    applied: Mapping[str, int | None]


class Verdict(NamedTuple):
    """Up to which offset (which stays) records of a partition may go, and why none may, if there are some to go."""

    topic: str
    partition: int
    first: int
    upto: int
    refused: str | None = None

    @property
    def records(self) -> int:
        """How many go."""
        return 0 if self.refused else max(self.upto - self.first, 0)


def judged(
    topic: str, partition: int, kafka: OnKafka, files: Sequence[ArchivedFile], before: datetime
) -> tuple[Verdict, list[ArchivedFile]]:
    """What may go of a partition, as it is older than `before`, and the files that have it, which are still to be read
    back. Pure.
    """
    upto = min(_old_until(files, before), max(kafka.end - 1, kafka.first))
    verdict = Verdict(topic, partition, kafka.first, max(upto, kafka.first))
    if upto <= kafka.first:
        return verdict, []
    holding = [file for file in files if file.end > kafka.first and file.first < upto]
    reasons = (_unlike(kafka, files), _hole(holding, kafka.first), _unapplied(kafka.applied, upto))
    return verdict._replace(refused=next(filter(None, reasons), None)), holding


def _old_until(files: Sequence[ArchivedFile], before: datetime) -> int:
    """The offset up to which all is older; files that hold both old and new stay until all of it is old."""
    until = 0
    for file in files:
        if file.last_moment >= before:
            break
        until = file.end
    return until


def _unlike(kafka: OnKafka, files: Sequence[ArchivedFile]) -> str | None:
    if files[-1].end > kafka.end:
        return f"Kafka ends at {kafka.end}, and the archive at {files[-1].end}: it is not what was archived"
    return None


def _hole(holding: Sequence[ArchivedFile], first: int) -> str | None:
    at = first
    for file in holding:
        if file.first > at:
            return f"the archive has nothing of {at} to {file.first - 1}"
        at = file.end
    return None


def _unapplied(applied: Mapping[str, int | None], upto: int) -> str | None:
    for group, offset in applied.items():
        if offset is None:
            return f"{group} has not said how far it has applied it: let it run, or wait until it does"
        if offset < upto:
            return f"{group} has applied it up to {offset} only, and {upto - 1} would go"
    return None


class Retention:
    """Applies retention. Use as a context; its methods raise KafkaError, ArchiveAway, OSError."""

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self._archive = archive
        timeout_ms = int(settings.produce_timeout_s * 1000)
        self._admin = AIOKafkaAdminClient(**access(settings), client_id=CLIENT_ID, request_timeout_ms=timeout_ms)
        self._consumer = AIOKafkaConsumer(**access(settings), client_id=CLIENT_ID, enable_auto_commit=False)

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
            await self._consumer.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def verdicts(self, topic: str, before: datetime) -> list[Verdict]:
        """What may go of each partition of a topic. What the archive has of it has been read back."""
        found = await self._on_kafka(topic)
        return [await self._verdict(topic, partition, found[partition], before) for partition in sorted(found)]

    async def apply(self, verdicts: Iterable[Verdict]) -> None:
        """Have Kafka remove what may go."""
        for each in verdicts:
            if each.records:
                await self._admin.delete_records(
                    {TopicPartition(each.topic, each.partition): RecordsToDelete(each.upto)}
                )
                metrics.RETIRED.labels(each.topic).inc(each.records)
                log.info("retired", topic=each.topic, partition=each.partition, first=each.first, upto=each.upto)

    async def _verdict(self, topic: str, partition: int, kafka: OnKafka, before: datetime) -> Verdict:
        try:
            files = await asyncio.to_thread(self._archive.files, topic, partition)
            verdict, holding = judged(topic, partition, kafka, files, before)
            for file in holding if verdict.records else []:
                await asyncio.to_thread(self._archive.check, file)
        except ArchiveDamaged as error:
            return Verdict(topic, partition, kafka.first, kafka.first, f"the archive is damaged: {error}")
        return verdict

    async def _on_kafka(self, topic: str) -> dict[int, OnKafka]:
        cluster = await self._consumer._client.fetch_all_metadata()
        places = [TopicPartition(topic, number) for number in cluster.partitions_for_topic(topic) or ()]
        if not places:
            return {}
        first, end = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        applied = {group: await self._admin.list_consumer_group_offsets(group) for group in groups_of(topic)}
        return {
            place.partition: OnKafka(
                first[place],
                end[place],
                {group: _said(offsets.get(place)) for group, offsets in applied.items()},
            )
            for place in places
        }


def _said(told: object) -> int | None:
    offset: int = getattr(told, "offset", -1)
    return offset if offset >= 0 else None


RETAINED: Final = (*TOPICS, BACKFILL, *DEAD_LETTERS)


async def keep_retention(settings: Settings, archive: Archive, clock: Clock = utc_now) -> None:
    """Apply the retention of topics that have one every archive_retention_interval_s, until cancelled. What is refused
    or away is looked at again then.
    """
    days = {topic.name: found for topic in RETAINED if (found := retention_days_of(topic, settings)) is not None}
    while True:
        await asyncio.sleep(settings.archive_retention_interval_s)
        try:
            async with Retention(archive, settings) as retention:
                for topic, kept_days in days.items():
                    await _retain(retention, topic, clock() - timedelta(days=kept_days))
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("retention_not_applied", reason=repr(error))


async def _retain(retention: Retention, topic: str, before: datetime) -> None:
    verdicts = await retention.verdicts(topic, before)
    for each in verdicts:
        if each.refused:
            log.warning("retention_refused", topic=topic, partition=each.partition, reason=each.refused)
    await retention.apply(verdicts)
