"""The archive, to be read: which partitions and files it has, their columns and their records. Blocks, and may be used
by threads; nothing is held but what is being read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from infra.archive.columns import SCHEMA
from infra.archive.errors import ArchiveAway, ArchiveDamaged
from infra.archive.files import Files, open_files
from infra.archive.layout import MANIFEST
from infra.archive.manifest import ArchivedFile, Entries
from infra.archive.records import Record, headers_of
from infra.settings import Settings

PARQUET: Final = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(
        use_buffered_stream=True, pre_buffer=False, page_checksum_verification=True
    )
)
OF_RECORDS: Final = ("offset", "history_time", "timestamp", "key", "value", "position", "headers")


class Archive:
    """The archive at settings.archive_url."""

    def __init__(self, files: Files, settings: Settings) -> None:
        self.files_of_store = files
        self.settings = settings
        self.entries = Entries(files, settings.archive_entries_kept)

    @classmethod
    def open(cls, settings: Settings) -> "Archive":
        """Makes no connection yet; an archive in which nothing was written is an empty one."""
        return cls(open_files(settings), settings)

    def partitions(self) -> list[tuple[str, int]]:
        """The topics and partitions that it has something of, in order. Raises ArchiveAway."""
        names = self.files_of_store.names
        topics = [path.rpartition("/")[2] for path in names(MANIFEST)]
        found = [(topic, path.rpartition("/")[2]) for topic in topics for path in names(f"{MANIFEST}/{topic}")]
        return sorted((topic, int(partition)) for topic, partition in found if partition.isdigit())

    def files(self, topic: str, partition: int) -> list[ArchivedFile]:
        """The files of a partition, in order, without an overlap. Raises ArchiveAway, ArchiveDamaged."""
        return self.entries.of(topic, partition)

    def end(self, topic: str, partition: int) -> int:
        """The offset after its last record; 0 for none."""
        files = self.files(topic, partition)
        return files[-1].end if files else 0

    def read(
        self, file: ArchivedFile, *, columns: Sequence[str] | None = None, where: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a file that fit, in order, some at a time; what `where` rules out by statistics is not read.
        Raises ArchiveAway, and ArchiveDamaged with the file and what is wrong.
        """
        with self._reading(file) as opened:
            fragment = PARQUET.make_fragment(pa.PythonFile(opened, mode="r"))
            scanner = fragment.scanner(
                schema=SCHEMA,
                columns=list(columns) if columns is not None else None,
                filter=where,
                batch_size=self.settings.archive_read_batch_records,
                batch_readahead=0,
                fragment_readahead=0,
                use_threads=False,
            )
            yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def records(self, topic: str, partition: int, *, first: int, last: int | None = None) -> Iterator[Record]:
        """The records of a partition from one offset to another (inclusive; None: to the end), in order. Ends where
        the archive does. Raises ArchiveAway, ArchiveDamaged.
        """
        for file in self.files(topic, partition):
            if file.end <= first:
                continue
            if last is not None and file.first > last:
                return
            where = pc.field("offset") >= first if file.first < first else None
            if last is not None and file.last > last:
                until = pc.field("offset") <= last
                where = until if where is None else where & until
            for batch in self.read(file, columns=OF_RECORDS, where=where):
                yield from records_of(topic, partition, batch)

    def check(self, file: ArchivedFile) -> None:
        """Read a file's bytes back and compare them with the manifest. Raises ArchiveDamaged, ArchiveAway."""
        digest, size = sha256(), 0
        with self._reading(file) as opened:
            while chunk := opened.read(self.settings.archive_read_buffer_bytes):
                digest.update(chunk)
                size += len(chunk)
        if size != file.bytes:
            raise ArchiveDamaged(file.path, f"has {size} bytes, where the manifest says {file.bytes}")
        if digest.hexdigest() != file.sha256:
            raise ArchiveDamaged(file.path, f"has SHA-256 {digest.hexdigest()}, where the manifest says {file.sha256}")

    @contextmanager
    def _reading(self, file: ArchivedFile) -> Iterator[Any]:
        store, buffer_bytes = self.files_of_store, self.settings.archive_read_buffer_bytes
        try:
            with store.reaching(), store.open(file.path, buffer_bytes) as opened:
                yield opened
        except FileNotFoundError as error:
            raise ArchiveDamaged(file.path, "is not there, though the manifest has it") from error
        except (pa.ArrowException, ValueError) as error:
            raise ArchiveDamaged(file.path, f"cannot be read ({error})") from error
        except OSError as error:
            if error.errno is not None or isinstance(error, ArchiveAway):
                raise
            # Arrow's word for bytes that are not what they should be.
            raise ArchiveDamaged(file.path, f"cannot be read ({error})") from error


def records_of(topic: str, partition: int, batch: pa.RecordBatch) -> Iterator[Record]:
    """The records in a batch that has the columns OF_RECORDS."""
    offsets, keys, values, positions, headers = (
        batch.column(name).to_pylist() for name in ("offset", "key", "value", "position", "headers")
    )
    times = batch.column("history_time").cast(pa.int64()).to_pylist()
    timestamps = batch.column("timestamp").cast(pa.int64()).to_pylist()
    others = map(headers_of, headers, positions)
    rows = zip(offsets, times, timestamps, keys, values, positions, others, strict=True)
    return (Record(topic, partition, *row) for row in rows)
