"""Takes the lines of one backfill: a batch is read while Kafka acknowledges the one before, and answered once it has.
Two batches are in memory, whatever the body holds.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from commands.playback.backfill.answering import Outlet, Summary, line_of
from commands.playback.backfill.lines import Line, Splitter
from commands.playback.backfill.producing import Keyed, Publisher, produce
from commands.playback.backfill.progress import NOTHING, Done, Place
from commands.playback.backfill.reading import Read, Reader, too_long
from commands.playback.refusals import BackfillTooLong
from commands.playback.reports import Limits, Status
from events.topics import BACKFILL
from infra.clock import Clock
from infra.event_log import IdempotencyKeyReused
from infra.publisher import KafkaUnavailable
from infra.settings import Settings

DUPLICATE = "duplicate"


class Progress(Protocol):
    """Where progress is kept: PostgresProgress."""

    async def save(self, place: Place, before: Done, done: Done) -> None:
        """Note what is done, where `before` was noted. Raises BackfillOvertaken."""


@dataclass(frozen=True)
class Bounds:
    """See the settings of these names."""

    max_events: int
    batch_lines: int
    batch_max_bytes: int
    produce_max_tries: int
    retry_after_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        """The bounds that settings name."""
        return cls(
            settings.backfill_max_events,
            settings.backfill_batch_lines,
            settings.backfill_batch_max_bytes,
            settings.backfill_produce_max_tries,
            settings.retry_after_s,
        )


class Batch(NamedTuple):
    """Lines that are recorded together. `last`: the number of the last, `digest`: of all up to it. `is_whole`: no line
    follows.
    """

    lines: list[tuple[int, Read]]
    last: int
    digest: bytes
    is_whole: bool


@dataclass
class Counts:
    """How the lines of this request ended."""

    accepted: int = 0
    duplicates: int = 0
    warnings: int = 0
    rejected: int = 0
    retry: int = 0


@dataclass(kw_only=True)
class Taking:
    """One request. `before`: what earlier ones under the same key have done."""

    reader: Reader
    limits: Limits
    bounds: Bounds
    publisher: Publisher
    progress: Progress
    place: Place
    clock: Clock
    before: Done = NOTHING
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._done = self.before
        self._splitter = Splitter(self.limits.event_max_bytes)
        self._read_bytes = 0
        self._recording: asyncio.Task[None] | None = None

    def summary(self, *, problem: str | None = None, reason: str | None = None) -> Summary:
        """How it went: to the end, or until there was a problem."""
        counts = self.counts
        return Summary(
            done=problem is None,
            lines=self._done.lines,
            accepted=counts.accepted,
            duplicates=counts.duplicates,
            warnings=counts.warnings,
            rejected=counts.rejected,
            retry=counts.retry,
            problem=problem,
            reason=reason,
        )

    async def run(self, pieces: AsyncIterator[bytes], outlet: Outlet) -> None:
        """Take all lines; what was acknowledged is answered, whatever is raised.

        Raises IdempotencyKeyReused, BackfillTooLong, BackfillOvertaken, KafkaUnavailable, what reading the body raises,
        and what a pool raises while Postgres is away.
        """
        if self.before.lines:
            outlet.hold()  # until it is known that the lines are those of before
        try:
            async for batch in self._batches(pieces):
                await self._settle()
                self._recording = asyncio.create_task(self._record(batch, outlet))
        finally:
            await self._settle()

    async def _settle(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            await recording

    async def _batches(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[Batch]:
        read: list[tuple[int, Read]] = []
        async for piece in pieces:
            for line in self._splitter.feed(piece):
                self._read(line, read)
                if self._is_full(read, line):
                    yield self._batch(read)
                    read = []
            if read and not piece:  # nothing more has arrived: who waits for answers gets them
                yield self._batch(read)
                read = []
        for line in self._splitter.end():
            self._read(line, read)
        yield self._batch(read, is_whole=True)

    def _is_full(self, read: list[tuple[int, Read]], line: Line) -> bool:
        bounds = self.bounds
        return (
            len(read) >= bounds.batch_lines
            or self._read_bytes >= bounds.batch_max_bytes
            or line.number in (self.before.lines, bounds.max_events)
        )

    def _read(self, line: Line, read: list[tuple[int, Read]]) -> None:
        """Raises BackfillTooLong."""
        if line.number > self.bounds.max_events:
            raise BackfillTooLong(
                f"a request may hold {self.bounds.max_events} lines: send those from line {line.number} on in another,"
                " under another key",
                members={"max_events": self.bounds.max_events},
            )
        if line.content is None:
            read.append((line.number, too_long(self.limits)))
        elif line.content:
            event = self.reader(line.content, self.clock())
            self._read_bytes += len(event.body or b"")
            read.append((line.number, event))

    def _batch(self, read: list[tuple[int, Read]], *, is_whole: bool = False) -> Batch:
        """Raises IdempotencyKeyReused when it shows that the lines are not those of before."""
        batch = Batch(read, self._splitter.number, self._splitter.digest(), is_whole)
        self._read_bytes = 0
        before = self.before
        if before.lines and (
            (batch.last == before.lines and batch.digest != before.digest)
            or (batch.last > before.lines and before.is_whole)
            or (batch.last < before.lines and is_whole)
        ):
            raise IdempotencyKeyReused("this Idempotency-Key was used for other lines; use a new one for these")
        return batch

    async def _record(self, batch: Batch, outlet: Outlet) -> None:
        """Have Kafka acknowledge a batch, answer it, and note that it is done."""
        is_known = batch.last <= self.before.lines
        left = {} if is_known else await self._produce(batch)
        outlet.put(b"".join(self._answers(batch, left, is_known=is_known)))
        if batch.last >= self.before.lines and (batch.is_whole or not self.before.is_whole):
            outlet.release()
        if left:
            raise KafkaUnavailable("Kafka does not take the events; repeat the request under the same key")
        if not is_known or batch.is_whole:
            await self._note(batch, is_known=is_known)

    async def _produce(self, batch: Batch) -> Keyed:
        """What Kafka does not take, however often it is tried."""
        events: defaultdict[str, list[bytes]] = defaultdict(list)
        for _, read in batch.lines:
            if read.body is not None:
                events[read.key].append(read.body)
        left: Keyed = events
        for tried in range(self.bounds.produce_max_tries):
            if not left:
                break
            if tried:
                await asyncio.sleep(self.bounds.retry_after_s)
            left = await produce(self.publisher, BACKFILL.name, left)
        return left

    def _answers(self, batch: Batch, left: Keyed, *, is_known: bool) -> Iterator[bytes]:
        counts = self.counts
        for number, (result, key, body) in batch.lines:
            status: str = result.status
            if body is None:
                counts.rejected += 1
            elif is_known:
                counts.duplicates += 1
                status = DUPLICATE
            elif key in left:
                counts.retry += 1
                status = Status.RETRY
            else:
                counts.accepted += 1
                counts.warnings += status == Status.WARNING
            yield line_of(number, status, result)

    async def _note(self, batch: Batch, *, is_known: bool) -> None:
        before = self._done
        lines = () if is_known else [read for _, read in batch.lines]
        self._done = Done(
            lines=batch.last,
            accepted=before.accepted + sum(read.body is not None for read in lines),
            warnings=before.warnings + sum(read.result.status is Status.WARNING for read in lines),
            rejected=before.rejected + sum(read.body is None for read in lines),
            digest=batch.digest,
            is_whole=batch.is_whole,
        )
        if self._done != before:
            await self.progress.save(self.place, before, self._done)
