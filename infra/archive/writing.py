"""One file of the archive, written exactly once: the data, whole, under a name that holds its offsets and its digest;
then its entry, by exclusive creation. Killed anywhere between, what is left is of the archive wholly, or not at all.
"""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.archive import merkle
from infra.archive.columns import raw_of_records, table_of
from infra.archive.layout import ARCHIVED, data_path
from infra.archive.manifest import ArchivedFile
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.clock import monotonic_s
from infra.ids import new_id
from infra.settings import Settings

DICTIONARY: Final = (
    *("type", "source", "stream", "principal", "correlation_id", "key"),
    *("account_id", "profile_id", "session_id", "title_id"),
)
"""What repeats within a row group."""
STATISTICS: Final = (
    *("offset", "history_time", "timestamp", "position", "time", "recorded_time", "sequence", "id", "type", "stream"),
    *("correlation_id", "causation_id", "principal", "account_id", "profile_id", "session_id", "title_id"),
)
"""What is filtered by: all but bodies and keys."""
DELTAS: Final = dict.fromkeys(("offset", "history_time", "timestamp"), "DELTA_BINARY_PACKED")
DATA_PAGE_BYTES: Final = 1024 * 1024
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
DAY_US: Final = 24 * 3600 * 1_000_000


class PlaceTaken(Exception):
    """Another writer was first at this offset: read the manifest again, and go on where the archive ends."""


def write_file(archive: Archive, records: Sequence[Record], *, follows: int | None = None) -> ArchivedFile:
    """Archive records of one partition and one day of history time, in order, without a gap. `follows`: the offset at
    which the archive ended, if it is not that of the first. Raises PlaceTaken, ArchiveAway, OSError.
    """
    raw = raw_of_records(records)
    table = table_of(raw, None, [each.history_time_us for each in records])
    at = raw.offsets[0] if follows is None else follows
    return write_table(archive, (raw.topic, raw.partition), table, follows=at, root=merkle.root(raw.leaves()))


def write_table(
    archive: Archive, place: tuple[str, int], table: pa.Table, *, follows: int, root: bytes
) -> ArchivedFile:
    """The same of columns. `place`: topic and partition; `root`: the Merkle root of the records."""
    content = encoded(table, archive.settings)
    file = described(place, table, content, follows=follows, level=ARCHIVED, root=root)
    put(archive, file, content)
    # The place of a writer that slept past a compaction's grace period may be free again, and not in the chain.
    if file not in archive.files(file.topic, file.partition):
        raise PlaceTaken(file.entry)
    return file


def put(archive: Archive, file: ArchivedFile, content: bytes) -> None:
    """Make a file part of the archive: its data, then its entry. Raises PlaceTaken, ArchiveAway, OSError."""
    begun_s = monotonic_s()
    archive.files_of_store.create(file.path, content)  # one that is there has the same digest: it is the same
    is_late = monotonic_s() - begun_s > archive.settings.archive_superseded_kept_s / 2  # then it may have been swept
    if is_late or not archive.entries.create(file):
        raise PlaceTaken(file.entry)


def encoded(table: pa.Table, settings: Settings) -> bytes:
    """A table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=settings.archive_row_group_records,
        compression="zstd",
        compression_level=settings.archive_zstd_level,
        use_dictionary=list(DICTIONARY),
        column_encoding=DELTAS,
        write_statistics=list(STATISTICS),
        data_page_size=DATA_PAGE_BYTES,
        write_page_checksum=True,
        store_schema=False,
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def described(
    place: tuple[str, int], table: pa.Table, content: bytes, *, follows: int, level: int, root: bytes
) -> ArchivedFile:
    """A file's entry. `place`: its topic and partition."""
    offsets, times = (table.column(name).cast(pa.int64()) for name in ("offset", "history_time"))
    first, last, digest = offsets[0].as_py(), offsets[-1].as_py(), sha256(content).hexdigest()
    day = day_of(times[0].as_py())
    positions = pc.min_max(table.column("position"))
    return ArchivedFile(
        topic=place[0],
        partition=place[1],
        level=level,
        day=day,
        follows=follows,
        first=first,
        last=last,
        rows=table.num_rows,
        bytes=len(content),
        path=data_path(*place, day, (first, last), digest if level == ARCHIVED else f"{digest}-{new_id()}"),
        sha256=digest,
        root=root.hex(),
        first_time=times[0].as_py(),
        last_time=times[-1].as_py(),
        first_position=positions["min"].as_py(),
        last_position=positions["max"].as_py(),
        uncompressed_bytes=sum(pc.sum(pc.binary_length(table.column(name))).as_py() or 0 for name in ("key", "value")),
    )


def day_of(time_us: int) -> date:
    """The day of a history time, in UTC."""
    return date.fromordinal(EPOCH_DAY + time_us // DAY_US)
