"""What the archive has of a partition: files that can hold what is asked for, batch by batch, in threads."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from audits.history.chunks import Rows
from audits.history.matching import Expression
from audits.sources import Source, Sources
from events.topics import REPLAY_HEADER
from infra.archive.errors import ArchiveDamaged
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive

COLUMNS: Final = ("offset", "history_time", "key", "value", "position", "headers")
REPLAYED: Final = f'["{REPLAY_HEADER}",'.encode()
"""How the header begins that marks a replay (infra/archive/records.py, other_headers)."""
LISTED_ANEW: Final = 3
"""How often a partition's files are listed anew because a compaction took the place of what was listed."""


class Wanted(NamedTuple):
    """What is wanted of a partition: from one offset to before another, and what the filter lets through."""

    topic: str
    partition: int
    first: int
    end: int
    where: Expression | None


class Archived:
    """Reads partitions of the archive for one question."""

    def __init__(self, archive: Archive, sources: Sources) -> None:
        self.archive = archive
        self._sources = sources

    async def rows(self, wanted: Wanted, files: Sequence[ArchivedFile]) -> AsyncIterator[Rows]:
        """Records of files that are listed, in order. Raises ArchiveDamaged, SourceAway."""
        at, tries, left = wanted.first, LISTED_ANEW, [*files]
        while left:
            file = left.pop(0)
            if file.end <= at or file.first >= wanted.end:
                continue
            try:
                async for rows in self._of_file(file, wanted._replace(first=at)):
                    at = (rows.offsets[-1] or 0) + 1
                    yield rows
                at = file.end
            except ArchiveDamaged as damaged:
                left = await self._listed_anew(wanted, file, damaged) if (tries := tries - 1) else []
                if not left:
                    raise

    async def _listed_anew(self, wanted: Wanted, file: ArchivedFile, damaged: ArchiveDamaged) -> list[ArchivedFile]:
        """What is live now, if the file is not: it was superseded, and its grace is over. Else it is damaged."""
        listed = await self._sources.run(self.archive.files, wanted.topic, wanted.partition)
        if any(each.path == file.path for each in listed):
            raise damaged
        return listed

    async def _of_file(self, file: ArchivedFile, wanted: Wanted) -> AsyncIterator[Rows]:
        batches = self.archive.read(file, columns=COLUMNS, where=_within(file, wanted))
        try:
            while (rows := await self._sources.run(_next, batches, wanted)) is not None:
                yield rows
        finally:
            with suppress(ValueError):  # a thread is in it still
                batches.close()  # type: ignore[attr-defined]  # it is a generator


def _within(file: ArchivedFile, wanted: Wanted) -> Expression | None:
    where = wanted.where
    offset = pc.field("offset")
    for needed, bound in (
        (file.first < wanted.first, offset >= wanted.first),
        (file.end > wanted.end, offset < wanted.end),
    ):
        if needed:
            where = bound if where is None else where & bound
    return where


def _next(batches: Iterator[pa.RecordBatch], wanted: Wanted) -> Rows | None:
    batch = next(batches, None)
    if batch is None:
        return None
    offsets, times, keys, values, positions, headers = (batch.column(name) for name in COLUMNS)
    return Rows(
        source=Source.ARCHIVE,
        offsets=offsets.to_pylist(),
        positions=positions.to_pylist(),
        times=times.cast(pa.int64()).to_pylist(),
        keys=keys.to_pylist(),
        values=values.to_pylist(),
        is_matched=True,
        replayed=None
        if headers.null_count == len(headers)
        else [REPLAYED in (each or b"") for each in headers.to_pylist()],
    )
