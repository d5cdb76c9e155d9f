"""Reads the history that was asked for: partition by partition from archive, Kafka and log, merged into one order."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pyarrow as pa
import pyarrow.compute as pc
from aiokafka.errors import OffsetOutOfRangeError

from audits.history import cursors
from audits.history.asked import Asked
from audits.history.chunks import Chunk, Rows
from audits.history.cursors import Cursor
from audits.history.events import HistoryEvent
from audits.history.from_archive import Archived, Wanted
from audits.history.from_kafka import FromKafka
from audits.history.from_log import FromLog
from audits.history.matching import Expression, expression, matching
from audits.history.merging import merged
from audits.history.planning import Plan, Stretch, highest_of, plan
from audits.history.selecting import Selecting, Span
from audits.sources import Sources
from infra.archive.columns import MOMENT
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive

EVERYTHING = 2**63 - 1


class Reading:
    """One reading of the history. `lacks`: what the answer cannot have, line by line; `total`: how many records are
    gone through at most, `done` how many were.
    """

    def __init__(self, sources: Sources, asked: Asked, planned: Plan, kafka: FromKafka | None, after: Cursor | None):
        self.lacks = planned.lacks
        self.total = sum(stretch.records for stretch in planned.stretches)
        self.done = 0
        self._sources = sources
        self._asked = asked
        self._plan = planned
        self._kafka = kafka
        self._after = after
        self._span = Span.of(asked)
        self._where = expression(asked)
        settings = sources.settings
        each = settings.history_buffer_rows // max(len(planned.stretches), 1)
        self._most = min(settings.history_batch_max_rows, max(each, 16))

    async def slabs(self) -> AsyncGenerator[list[HistoryEvent]]:
        """The events in order, some at a time."""
        archive = await self._sources.archive()
        archived = None if archive is None else Archived(_sized(archive, self._most), self._sources)
        pool = await self._sources.log()
        log = None if pool is None else FromLog(pool)
        partitions = [self._chunks(each, archived, log) for each in self._plan.stretches]
        async with aclosing(merged(partitions)) as slabs:
            async for slab in slabs:
                yield slab

    async def events(self, limit: int | None = None) -> AsyncGenerator[HistoryEvent]:
        """The events in order, at most so many."""
        left = EVERYTHING if limit is None else limit
        if left <= 0:
            return
        async with aclosing(self.slabs()) as slabs:
            async for slab in slabs:
                for event in slab[:left] if left < len(slab) else slab:
                    yield event
                left -= len(slab)
                if left <= 0:
                    return

    def cursor(self, last: HistoryEvent) -> str:
        """The end of a page that ends with an event."""
        return cursors.write(
            Cursor(
                question=cursors.question_of(self._asked, frozenset(self._sources.left_out)),
                history_time_us=last.history_time_us,
                topic=last.topic,
                partition=last.partition,
                offset=last.offset,
                position=last.position,
                bounds=self._plan.bounds,
            )
        )

    async def _chunks(self, stretch: Stretch, archived: Archived | None, log: FromLog | None) -> AsyncGenerator[Chunk]:
        """What is shown of a partition."""
        selecting = Selecting(
            *stretch.partition,
            self._plan.bounds,
            span=self._span,
            matches=matching(self._asked),
            after=self._after,
        )
        async with aclosing(self._rows(stretch, selecting, archived, log)) as found:
            async for rows in found:
                chunk = selecting.take(rows)
                if chunk.times:
                    yield chunk
                if rows.times and selecting.is_past(rows.times[-1]):
                    return

    async def _rows(
        self, stretch: Stretch, selecting: Selecting, archived: Archived | None, log: FromLog | None
    ) -> AsyncGenerator[Rows]:
        """A partition's records, source after source."""
        last_us = None
        if stretch.files and archived is not None:
            async for rows in self._of_archive(stretch, selecting, archived):
                yield rows
            selecting.highest = max(selecting.highest, stretch.highest)
            last_us = stretch.files[-1].last_time
        if selecting.is_past(last_us or 0):
            return
        if self._kafka is not None and stretch.first < stretch.end:
            async for rows in self._of_kafka(stretch, selecting, archived, log, last_us):
                last_us = rows.times[-1]
                yield rows
        if log is not None and stretch.head:
            between = (max(selecting.highest, stretch.relayed), stretch.head)
            async for rows in self._of_log(stretch, log, between, last_us):
                yield rows

    async def _of_archive(self, stretch: Stretch, selecting: Selecting, archived: Archived) -> AsyncIterator[Rows]:
        files = _of_span(stretch.files, Span(selecting.since_us, self._span.until_us))
        if not files:
            return
        before = stretch.files[: stretch.files.index(files[0])]
        selecting.highest = highest_of(before)
        self.done += sum(file.rows for file in before)
        wanted = Wanted(*stretch.partition, files[0].first, EVERYTHING, self._filter(selecting))
        reached = 0
        async for rows in archived.rows(wanted, files):
            self.done += len(rows.times)
            reached += len(rows.times)
            yield rows
        self.done += sum(file.rows for file in files) - reached

    def _filter(self, selecting: Selecting) -> Expression | None:
        """What a file needs to hand over. Of relayed topics what is before the time that is asked for is needed too: by
        it, what a relay wrote again is recognised.
        """
        where = self._where
        time = pc.field("history_time")
        since, until = None if selecting.is_relayed else selecting.since_us, self._span.until_us
        for bound in (
            None if since is None else time >= pa.scalar(since, MOMENT),
            None if until is None else time < pa.scalar(until, MOMENT),
        ):
            if bound is not None:
                where = bound if where is None else where & bound
        return where

    async def _of_kafka(
        self,
        stretch: Stretch,
        selecting: Selecting,
        archived: Archived | None,
        log: FromLog | None,
        last_us: int | None,
    ) -> AsyncIterator[Rows]:
        assert self._kafka is not None
        at, is_begun = stretch.first, False
        try:
            async for rows in self._kafka.rows(stretch.partition, stretch.end, last_us=last_us, most=self._most):
                if not is_begun and stretch.first > stretch.archived and log is not None and stretch.head:
                    before = next((each for each in rows.positions if each is not None), 1)
                    async for missed in self._of_log(stretch, log, (selecting.highest, before - 1), last_us):
                        yield missed
                is_begun = True
                at = (rows.offsets[-1] or 0) + 1
                self.done += len(rows.times)
                yield rows
        except OffsetOutOfRangeError:  # Kafka gave it over to the archive meanwhile
            if archived is None:
                raise
            files = await self._sources.run(archived.archive.files, *stretch.partition)
            wanted = Wanted(*stretch.partition, at, stretch.end, self._filter(selecting))
            async for rows in archived.rows(wanted, files):
                yield rows

    async def _of_log(
        self, stretch: Stretch, log: FromLog, between: tuple[int, int], last_us: int | None
    ) -> AsyncIterator[Rows]:
        streams = list(self._asked.streams) or None
        async for rows in log.rows(stretch.partition, between, last_us=last_us, streams=streams, most=self._most):
            yield rows


@asynccontextmanager
async def begun(sources: Sources, asked: Asked, *, after: str | None = None) -> AsyncIterator[Reading]:
    """A reading, of which everything is decided that does not change any more. `after`: the end of the page before.

    Raises BadQuestion, infra.cursors.BadCursor, SourceAway, ArchiveDamaged.
    """
    asked = asked.checked(sources.settings)
    question = cursors.question_of(asked, frozenset(sources.left_out))
    cursor = None if after is None else cursors.read(after, question)
    async with sources.consumer(max_partition_fetch_bytes=sources.settings.history_fetch_max_bytes) as consumer:
        timeout_s = sources.settings.audits_source_timeout_s
        kafka = None if consumer is None else FromKafka(consumer, timeout_s=timeout_s)
        planned = await plan(sources, asked, kafka, None if cursor is None else cursor.bounds)
        if kafka is not None:
            kafka.assign({each.partition: each.first for each in planned.stretches if each.first < each.end})
        yield Reading(sources, asked, planned, kafka, cursor)


async def read(
    sources: Sources, asked: Asked, *, after: str | None = None, limit: int | None = None
) -> AsyncIterator[HistoryEvent]:
    """The events that are asked for, in order: see begun() for who pages, or says what is lacking."""
    async with begun(sources, asked, after=after) as reading:
        async for event in reading.events(limit):
            yield event


def _sized(archive: Archive, most: int) -> Archive:
    """The same archive, read in batches that many partitions can hold at a time."""
    sized = Archive(archive.files_of_store, archive.settings.model_copy(update={"archive_read_batch_records": most}))
    sized.entries = archive.entries
    return sized


def _of_span(files: list[ArchivedFile], span: Span) -> list[ArchivedFile]:
    return [
        file
        for file in files
        if (span.since_us is None or file.last_time >= span.since_us)
        and (span.until_us is None or file.first_time < span.until_us)
    ]
