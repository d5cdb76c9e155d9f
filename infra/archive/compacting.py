"""Small files become larger ones: runs of files of one day of a partition, by one file at the next level, whose entry
takes the place of theirs at once. Blocks, but for keep_compact().

What they hold stays byte for byte, and so does the Merkle root over it, which does not know of files.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

import pyarrow as pa

from infra.archive import metrics
from infra.archive.columns import SCHEMA
from infra.archive.errors import ArchiveDamaged
from infra.archive.layout import ARCHIVED, COMPACTED
from infra.archive.manifest import ArchivedFile
from infra.archive.merkle import Tree, leaf
from infra.archive.store import Archive
from infra.archive.sweeping import sweep
from infra.archive.writing import PlaceTaken, described, encoded, put
from infra.clock import Clock, utc_now
from infra.settings import Settings
from infra.telemetry import log

OF_LEAVES: Final = ("offset", "position", "key", "value")


class CompactLimits(NamedTuple):
    """How large a file becomes, and how many small ones of a day that goes on are worth it."""

    records: int
    bytes: int
    files: int

    @classmethod
    def of(cls, settings: Settings) -> "CompactLimits":
        """Those that are configured."""
        return cls(
            settings.archive_compact_max_records,
            settings.archive_compact_max_bytes,
            settings.archive_compact_min_files,
        )


async def keep_compact(settings: Settings, archive: Archive, clock: Clock = utc_now) -> None:
    """Compact and sweep every archive_compact_interval_s, until cancelled. A store that is away is asked again then."""
    while True:
        await asyncio.sleep(settings.archive_compact_interval_s)
        try:
            await asyncio.to_thread(tidy, archive, clock)
        except OSError as error:
            log.warning("archive_not_compacted", reason=repr(error))


def tidy(archive: Archive, clock: Clock = utc_now) -> tuple[int, int]:
    """Compact what is due, and remove what is not of the archive any more: how many files were made, and removed. A
    partition that is damaged stays as it is. Raises ArchiveAway, OSError.
    """
    made = 0
    for topic, partition in archive.partitions():
        try:
            made += sum(1 for _ in compact_partition(archive, topic, partition, clock().date()))
        except ArchiveDamaged as error:
            log.error("archive_damaged", topic=topic, partition=partition, reason=str(error))
    return made, sweep(archive, clock())


def compact_partition(archive: Archive, topic: str, partition: int, today: date) -> Iterator[ArchivedFile]:
    """Make every larger file of a partition that is due. Raises ArchiveDamaged, ArchiveAway."""
    for run in due(archive.files(topic, partition), CompactLimits.of(archive.settings), today):
        try:
            yield compact(archive, run)
        except PlaceTaken:  # by another compaction, which is as good
            return


def due(files: Sequence[ArchivedFile], limits: CompactLimits, today: date) -> Iterator[list[ArchivedFile]]:
    """The runs that are to become a file each: of a day that is past, or that has become many. Pure."""
    newest_day = max(today, files[-1].day) if files else today
    run: list[ArchivedFile] = []
    for file in files:
        if run and not _goes_on(run, file, limits):
            if len(run) > 1 and (file.day == run[0].day or run[0].day < newest_day):
                yield run
            run = []
        if file.level == ARCHIVED:
            run.append(file)
    if len(run) >= limits.files or (len(run) > 1 and run[0].day < newest_day):
        yield run


def _goes_on(run: list[ArchivedFile], file: ArchivedFile, limits: CompactLimits) -> bool:
    return (
        file.level == ARCHIVED
        and file.day == run[0].day
        and file.missing == 0
        and sum(each.rows for each in run) + file.rows <= limits.records
        and sum(each.uncompressed_bytes for each in run) + file.uncompressed_bytes <= limits.bytes
    )


def compact(archive: Archive, run: Sequence[ArchivedFile]) -> ArchivedFile:
    """One file of a run of files. Each is compared with its digest first, so that nothing damaged is made good. Raises
    PlaceTaken, ArchiveDamaged, ArchiveAway.
    """
    topic, partition = run[0].topic, run[0].partition
    tree, tables = Tree(), []
    for file in run:
        archive.check(file)
        table = pa.Table.from_batches(archive.read(file), SCHEMA)
        _add_leaves(tree, topic, partition, table)
        tables.append(table)
    whole = pa.concat_tables(tables)
    del tables
    content = encoded(whole, archive.settings)
    made = described((topic, partition), whole, content, follows=run[0].follows, level=COMPACTED, root=tree.root())
    if (made.first, made.last, made.rows) != (run[0].first, run[-1].last, sum(each.rows for each in run)):
        raise ArchiveDamaged(run[0].path, f"with those after it up to {run[-1].path}, holds other records than it says")
    put(archive, made, content)
    metrics.COMPACTED.inc(len(run))
    metrics.FILES.labels(str(COMPACTED)).inc()
    return made


def _add_leaves(tree: Tree, topic: str, partition: int, table: pa.Table) -> None:
    columns = (table.column(name).to_pylist() for name in OF_LEAVES)
    tree.extend(leaf(topic, partition, *row) for row in zip(*columns, strict=True))
