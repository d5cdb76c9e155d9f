"""Records as Kafka gave them become files: cut where the day changes and where offsets are missing. Blocks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from infra.archive.columns import Raw, raw_of_messages, table_of
from infra.archive.manifest import ArchivedFile
from infra.archive.merkle import Tree
from infra.archive.store import Archive
from infra.archive.writing import DAY_US, write_table

CHUNK_RECORDS: Final = 4_096


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

    Some at a time become columns: what is made of them on the way is never there for all at once.
    """
    filling, follows, last_us = Filling(), tail.end, tail.last_us
    for first in range(0, len(messages), CHUNK_RECORDS):
        raw = raw_of_messages(messages[first : first + CHUNK_RECORDS])
        table = table_of(raw, last_us)
        times = table.column("history_time").cast(pa.int64())
        last_us = times[-1].as_py()
        for start, stop in runs(raw.offsets, times):
            if filling.tables and not filling.goes_on(raw.offsets[start], times[start].as_py()):
                yield (file := filling.write(archive, raw, follows))
                filling, follows = Filling(), file.end
            filling.add(raw.part(start, stop), table.slice(start, stop - start), times[start].as_py())
    yield filling.write(archive, raw, follows)


class Filling:
    """A file that fills: its columns so far, and its Merkle tree."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self._tree = Tree()
        self._end = 0
        self._day = 0

    def goes_on(self, offset: int, time_us: int) -> bool:
        """Whether a record belongs to it: the next one, of the same day."""
        return offset == self._end and time_us // DAY_US == self._day

    def add(self, raw: Raw, table: pa.Table, time_us: int) -> None:
        """Take records of one day, without a gap."""
        self.tables.append(table)
        self._tree.extend(raw.leaves())
        self._end, self._day = raw.offsets[-1] + 1, time_us // DAY_US

    def write(self, archive: Archive, raw: Raw, follows: int) -> ArchivedFile:
        """Make it a file, of the partition of `raw`."""
        table = pa.concat_tables(self.tables)
        return write_table(archive, (raw.topic, raw.partition), table, follows=follows, root=self._tree.root())


def runs(offsets: Sequence[int], times: Any) -> Iterator[tuple[int, int]]:
    """The rows that belong together: gapless, and of one day. `times`: int64 microseconds, as Arrow has them."""
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
