"""Records as Kafka gave them become files: cut where the day changes and where offsets are missing. Blocks."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from infra.archive.columns import Raw, raw_of_messages, table_of
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.archive.writing import DAY_US, write_table


class Tail(NamedTuple):
    """Where the archive of a partition ends: the offset that is next, and the history time of its last record."""

    end: int
    last_us: int | None


def tail_of(archive: Archive, topic: str, partition: int) -> Tail:
    """Of a partition, as the manifest says now. Raises ArchiveAway, ArchiveDamaged."""
    files = archive.files(topic, partition)
    return Tail(files[-1].end, files[-1].last_time) if files else Tail(0, None)


def write_messages(archive: Archive, messages: Sequence[Any], tail: Tail) -> Iterator[ArchivedFile]:
    """Archive aiokafka's records of a partition that go on at its tail; each file as it is part of the archive. Raises
    PlaceTaken, ArchiveAway, OSError; what was yielded by then stays.
    """
    raw = raw_of_messages(messages)
    table = table_of(raw, tail.last_us)
    follows = tail.end
    for start, stop in runs(raw, table):
        part = raw if stop - start == len(raw.offsets) else raw.part(start, stop)
        file = write_table(archive, part, table.slice(start, stop - start), follows=follows)
        yield file
        follows = file.end


def runs(raw: Raw, table: pa.Table) -> Iterator[tuple[int, int]]:
    """The rows that are a file each: gapless, and of one day."""
    offsets = raw.offsets
    times = table.column("history_time").cast(pa.int64())
    is_whole = offsets[-1] - offsets[0] == len(offsets) - 1
    if is_whole and times[0].as_py() // DAY_US == times[-1].as_py() // DAY_US:
        yield 0, len(offsets)
        return
    days = [time // DAY_US for time in times.to_pylist()]
    start = 0
    for row in range(1, len(offsets)):
        if days[row] != days[start] or offsets[row] != offsets[row - 1] + 1:
            yield start, row
            start = row
    yield start, len(offsets)
