"""Verifies a partition of a topic in Kafka: its offsets, the event log that it was relayed from, and the archive, where
both hold the same offsets.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.structs import TopicPartition
from msgspec import structs

from audits.verifying import reading
from audits.verifying.findings import Finding, Kind, Store, shown
from audits.verifying.reading import LogOf, found_of
from audits.verifying.relayed import Relayed
from audits.verifying.tasks import State, Update
from events.topics import TOPICS, Lane
from infra.archive.errors import ArchiveDamaged
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.postgres import Pool
from infra.settings import Settings

RELAYED: Final = "select position from relay_lease where partition = $1"
LOG_TOPICS: Final = frozenset(topic.name for topic in TOPICS if topic.lane is Lane.LOG)
KEPT_FOR_GOOD: Final = frozenset(topic.name for topic in TOPICS)
UNREADABLE: Final = (CorruptRecordException, RuntimeError, ValueError, IndexError, EOFError)
"""What aiokafka and the codecs raise of bytes that are no records; a RuntimeError may also be one of KafkaError's."""


class Sides(NamedTuple):
    """What a topic partition is checked against, and how. `relayed`: the topics that come from the event log."""

    pool: Pool
    archive: Archive
    settings: Settings
    relayed: frozenset[str] = LOG_TOPICS


class KafkaCheck:
    """The check of one partition of a topic."""

    def __init__(self, sides: Sides, consumer: AIOKafkaConsumer, topic: str, partition: int) -> None:
        self._sides = sides
        self._consumer = consumer
        self._place = TopicPartition(topic, partition)
        self._finding = partial(Finding, store=Store.KAFKA, topic=topic, partition=partition)
        self._limit = sides.settings.verify_batch_rows
        self._is_relayed = topic in sides.relayed
        self._archived: Iterator[Record] = iter(())
        self._next: Record | None = None

    async def run(self, task: str, state: State | None) -> AsyncIterator[Update]:
        """All of it, or from where another run was. Raises what asyncpg and aiokafka raise, and ArchiveAway."""
        relayed = await self._sides.pool.fetchval(RELAYED, self._place.partition) or 0
        begin = (await self._consumer.beginning_offsets([self._place]))[self._place]
        end = (await self._consumer.end_offsets([self._place]))[self._place]
        kept = await self._log_head()
        first = max(begin, int(state["offset"]) if state else 0)
        log = None
        check = Relayed(Store.KAFKA, self._place.topic, self._place.partition)
        yield Update(task=task, findings=self._bounds(begin, end))
        self._archived = self._sides.archive.records(self._place.topic, self._place.partition, first=first)
        self._advance()
        async for page in self._pages(first, end):
            if isinstance(page, Finding):
                yield Update(task=task, findings=[page])
                first = (page.last or first) + 1
                continue
            found = self._gaps(page, first)
            first = page[-1].offset + 1
            found += self._beside_the_archive(page)
            if self._is_relayed:
                log = log or self._log(page, begin, state)
                records = list(map(found_of, page))
                highest = max((each.position or 0 for each in records if (each.position or 0) <= kept), default=0)
                found += check.take(await log.up_to(highest), records)
            yield Update(task=task, done=first - begin, findings=found, state=self._state(first, log, check))
        if self._is_relayed:
            log = log or LogOf(self._sides.pool, *self._place, after=0, limit=self._limit)
            late = list(check.take(await log.up_to(relayed), [])) if begin == 0 or end > begin else []
            late += check.missing(relayed, truncated=True)
            yield Update(task=task, done=first - begin, findings=late)
        yield Update(task=task, done=end - begin, ended=True)

    async def _pages(self, first: int, end: int) -> AsyncIterator[list[Any] | Finding]:
        """Records, and where a batch of them cannot be read, that; then those after it."""
        while first < end:
            try:
                async for page in reading.messages(self._consumer, self._place, first, end, self._limit):
                    yield page
                    first = page[-1].offset + 1
            except UNREADABLE as error:
                _raise_if_away(error)
                async for passed in self._past_damage(first, end):
                    yield passed
                    first = (passed.last or first) + 1 if isinstance(passed, Finding) else passed[-1].offset + 1
            else:
                return

    async def _past_damage(self, first: int, end: int) -> AsyncIterator[list[Any] | Finding]:
        """Record by record, up to the first that can be read after some that cannot."""
        damaged, said = list[int](), ""
        for offset in range(first, end):
            try:
                page = await anext(reading.messages(self._consumer, self._place, offset, end, 1))
            except UNREADABLE as error:
                _raise_if_away(error)
                damaged.append(offset)
                said = f"{type(error).__name__}: {error}"
                continue
            if damaged:
                yield self._damaged(damaged, said)
            yield page
            if damaged:
                return
        if damaged:
            yield self._damaged(damaged, said)

    def _damaged(self, offsets: Sequence[int], said: str) -> Finding:
        kind, what = Kind.FLIPPED, "batch of records, which cannot be read"
        return self._finding(kind=kind, what=what, offset=offsets[0], last=offsets[-1], found=said)

    def _bounds(self, begin: int, end: int) -> list[Finding]:
        """What Kafka gave up before the archive had it, and what it lost that the archive has."""
        archived = self._sides.archive.end(*self._place)
        found = list[Finding]()
        if begin > archived and (self._is_relayed or self._place.topic in KEPT_FOR_GOOD):
            told = f"the archive ends at {archived - 1}"
            lost = self._finding(kind=Kind.REMOVED, what="records before the first", offset=archived, last=begin - 1)
            found.append(structs.replace(lost, expected=told, found=f"begins at {begin}"))
        if archived > end:
            told = f"the archive has them to {archived - 1}"
            cut = self._finding(kind=Kind.TRUNCATED, what="records", offset=end, last=archived - 1)
            found.append(structs.replace(cut, expected=told, found=f"ends at {end - 1}"))
        return found

    def _gaps(self, page: Sequence[Any], at: int) -> list[Finding]:
        found = list[Finding]()
        if page[-1].offset - at + 1 == len(page):
            return found
        for message in page:
            if message.offset > at:
                gap = self._finding(kind=Kind.REMOVED, what="offsets", offset=at, last=message.offset - 1)
                found.append(structs.replace(gap, expected=f"{message.offset - at} records", found="none"))
            at = message.offset + 1
        return found

    def _beside_the_archive(self, page: Sequence[Any]) -> list[Finding]:
        found = list[Finding]()
        for message in page:
            while self._next is not None and self._next.offset < message.offset:
                self._advance()
            if self._next is None:
                return found
            if self._next.offset == message.offset:
                found += self._differences(self._next, Record.of(message, self._next.history_time_us))
        return found

    def _differences(self, archived: Record, kept: Record) -> Iterator[Finding]:
        if archived == kept:
            return
        for name in ("value", "key", "position", "headers", "timestamp_ms"):
            one, other = getattr(archived, name), getattr(kept, name)
            if one != other:
                yield self._finding(
                    kind=Kind.FLIPPED,
                    what=f"{name}, beside the archive",
                    offset=kept.offset,
                    position=kept.position,
                    expected=shown(one) if isinstance(one, bytes) else str(one),
                    found=shown(other) if isinstance(other, bytes) else str(other),
                )

    def _advance(self) -> None:
        """The archive's next record. Of what is damaged in it, its own check tells."""
        try:
            self._next = next(self._archived, None)
        except ArchiveDamaged:
            self._next = None

    def _log(self, page: Sequence[Any], begin: int, state: State | None) -> LogOf:
        """The rows that go with these records: all, but those before the first that Kafka still has."""
        after = 0
        if state:
            after = int(state["position"])
        elif begin > 0:
            after = next((found_of(each).position or 1 for each in page), 1) - 1
        return LogOf(self._sides.pool, *self._place, after=after, limit=self._limit)

    async def _log_head(self) -> int:
        head = await reading.head(self._sides.pool, self._place.partition)
        return 0 if head is None else max(head["position"], head["last"] or 0)

    def _state(self, offset: int, log: LogOf | None, check: Relayed) -> State | None:
        if log is None:
            return {"offset": offset, "position": 0}
        return {"offset": offset, "position": log.after} if check.settled() else None


def _raise_if_away(error: Exception) -> None:
    if isinstance(error, KafkaError) and not isinstance(error, CorruptRecordException):
        raise error
