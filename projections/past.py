"""Records that Kafka does not hold any more, from the archive: what a rebuild, and a projection that begins anew, reads
first. The archive, and pyarrow with it, is opened when it is needed, which for most installations is never.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, Protocol, TypeVar, cast

from infra.archive.errors import ArchiveDamaged
from infra.settings import Settings
from projections.errors import ProjectionError, StoreUnavailable
from projections.slabs import Partition, Record, Slab

T = TypeVar("T")
READERS: Final = 2
"""Threads that read the archive; each reads one partition at a time."""


class HistoryUnreadable(ProjectionError):
    """The archive has other records than its manifest says."""


class Run(NamedTuple):
    """Offsets without a gap: from `first` to before `end`."""

    first: int
    end: int


class Archived(Protocol):
    """A file of the archive, as far as it is looked at here: `first` and `last`, inclusive."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


class ArchiveLike(Protocol):
    """What is asked of the archive (infra/archive)."""

    def files(self, topic: str, partition: int) -> Sequence[Archived]:
        """Those that are part of it, in order."""

    def records(self, topic: str, partition: int, *, first: int, last: int | None = None) -> Iterator[Record]:
        """Records in order, up to `last`, inclusive."""


class Past:
    """The archive, by partition, in slabs. Its methods raise StoreUnavailable while it cannot be reached, and
    HistoryUnreadable.
    """

    def __init__(self, settings: Settings, open_archive: Callable[[Settings], ArchiveLike] | None = None) -> None:
        self._settings = settings
        self._open = open_archive or _open
        self._archive: ArchiveLike | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._reading: dict[Partition, tuple[Run | None, Iterator[Record]]] = {}

    async def lacks(self, partition: Partition, start: int, first: int) -> Run | None:
        """The first offsets from `start` on that are not there, of those before `first`, with which Kafka begins."""
        return lacking(await self._runs(partition), start, first) if start < first else None

    async def readable_from(self, partition: Partition, first: int) -> int:
        """The first offset from which on everything can be read, of a partition with which Kafka begins at `first`."""
        if first == 0:
            return 0
        return next((run.first for run in await self._runs(partition) if run.first < first <= run.end), first)

    async def take(self, partition: Partition, start: int, end: int, most: int, most_bytes: int) -> Slab:
        """Records from `start` on, before `end`: at least one, and no more once they are so many or so large."""
        records = await self._in_thread(lambda: self._next(partition, start, end, most, most_bytes))
        return Slab(partition, start, records)

    def _next(self, partition: Partition, start: int, end: int, most: int, most_bytes: int) -> list[Record]:
        at, records = self._reading.pop(partition, (None, iter(())))
        if at != Run(start, end):
            records = self._opened.records(*partition, first=start, last=end - 1)
        taken: list[Record] = []
        size = 0
        for record in records:
            if record.offset != start + len(taken):
                raise HistoryUnreadable(
                    f"{_named(partition)}: the archive goes on at {record.offset}, not {start + len(taken)}"
                )
            taken.append(record)
            size += len(record.value or b"")
            if len(taken) >= most or size >= most_bytes:
                break
        if not taken:
            raise HistoryUnreadable(f"{_named(partition)}: the archive has no record {start}, which its manifest names")
        self._reading[partition] = (Run(start + len(taken), end), records)
        return taken

    async def _runs(self, partition: Partition) -> list[Run]:
        return await self._in_thread(lambda: joined(self._opened.files(*partition)))

    async def _in_thread(self, action: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(READERS, "archive")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, action)
        except ArchiveDamaged as error:
            raise HistoryUnreadable(f"the archive is damaged: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"the archive cannot be read now: {error}") from error

    @property
    def _opened(self) -> ArchiveLike:
        if self._archive is None:
            self._archive = self._open(self._settings)
        return self._archive

    def close(self) -> None:
        """Forget what was being read."""
        self._reading.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def joined(files: Sequence[Archived]) -> list[Run]:
    """Files as runs that have a gap between them."""
    runs: list[Run] = []
    for file in files:
        if runs and runs[-1].end == file.first:
            runs[-1] = Run(runs[-1].first, file.last + 1)
        else:
            runs.append(Run(file.first, file.last + 1))
    return runs


def lacking(runs: Sequence[Run], start: int, first: int) -> Run | None:
    """See Past.lacks."""
    at = start
    for run in runs:
        if at >= first or run.first > at:
            break
        at = max(at, run.end)
    after = min((run.first for run in runs if run.first > at), default=first)
    return Run(at, min(after, first)) if at < first else None


def told(partition: Partition, gone: Run) -> str:
    """What to say of offsets that nobody has."""
    offsets = f"offset {gone.first}" if gone.end == gone.first + 1 else f"offsets {gone.first} to {gone.end - 1}"
    return f"{_named(partition)}: {offsets} are neither in Kafka any more nor in the archive"


def _named(partition: Partition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _open(settings: Settings) -> ArchiveLike:
    from infra.archive.store import Archive  # noqa: PLC0415 - pyarrow is heavy, and most never need it

    return cast(ArchiveLike, Archive.open(settings))  # its headers may lack a value, as Kafka's client's may
