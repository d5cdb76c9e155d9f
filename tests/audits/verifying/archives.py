"""Archives in directories, with records to be tampered with, and keys of their own."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from audits.verifying import checkpoints
from audits.verifying.checkpoints import Checkpoint, Head, Range, Stored, reached
from audits.verifying.keys import SigningKeys
from audits.verifying.leaves import tree_of
from infra.archive.columns import SCHEMA, raw_of_records, table_of
from infra.archive.layout import data_path
from infra.archive.manifest import ArchivedFile
from infra.archive.merkle import leaf, root
from infra.archive.records import Record
from infra.archive.store import Archive, records_of
from infra.archive.writing import encoded, write_file
from infra.settings import Settings
from tests.audits.verifying.chains import BEGAN, body_of

TOPIC = "catalog.events"
PARTITION = 3
HEADS = (Head(3, 10, "ab" * 32),)
BEGAN_US = int(BEGAN.timestamp()) * 1_000_000


def record(offset: int, *, topic: str = TOPIC, partition: int = PARTITION) -> Record:
    """The record of the event of body_of(offset + 1), as the relay makes it."""
    number = offset + 1
    value = body_of(number)
    key = msgspec.json.decode(value)["subject"].encode()
    time_us = BEGAN_US + number * 1_000_000
    return Record(topic, partition, offset, time_us, time_us // 1000, key, value, number, ())


def archive_in(directory: Path) -> Archive:
    """An archive, with nothing in it."""
    return Archive.open(settings_in(directory))


def settings_in(directory: Path) -> Settings:
    """Settings of an installation in a directory."""
    return Settings(state_dir=directory)


def add(archive: Archive, first: int, last: int) -> None:
    """One more file, of the records of these offsets."""
    write_file(archive, [record(offset) for offset in range(first, last + 1)])


def checkpoint(
    archive: Archive, keys: SigningKeys, before: Stored | None = None, heads: Sequence[Head] = HEADS
) -> Stored:
    """The next one, over what the archive got."""
    held = reached(before.checkpoint if before else None)
    first, end = held.get((TOPIC, PARTITION), 0), archive.end(TOPIC, PARTITION)
    tree = tree_of(archive, TOPIC, PARTITION, first, end - 1)
    one = Checkpoint(
        number=before.checkpoint.number + 1 if before else 1,
        at=datetime(2026, 11, 2, tzinfo=UTC),
        previous=before.digest if before else None,
        ranges=(Range(TOPIC, PARTITION, first, end - 1, tree.size, tree.root().hex()),),
        heads=tuple(heads),
        ends=((TOPIC, PARTITION, end),),
    )
    stored = checkpoints.write(archive.files_of_store, keys, one)
    assert stored is not None
    return stored


def rewrite(archive: Archive, file: ArchivedFile, change: Callable[[pa.Table], pa.Table], *, hiding: bool) -> None:
    """Put other records in a file's place. `hiding`: with a manifest entry that fits them."""
    files = archive.files_of_store
    table = change(pq.read_table(pa.BufferReader(files.read(file.path)), schema=SCHEMA))
    content = encoded(table, archive.settings)
    if not hiding:
        files.remove(file.path)
        assert files.create(file.path, content)
        return
    archive.entries.forget(file.entry)
    offsets, positions, keys, values = (
        table.column(name).to_pylist() for name in ("offset", "position", "key", "value")
    )
    leaves = map(partial(leaf, file.topic, file.partition), offsets, positions, keys, values)
    digest = sha256(content).hexdigest()
    entry = msgspec.structs.replace(
        file,
        last=offsets[-1],
        rows=table.num_rows,
        bytes=len(content),
        path=data_path(file.topic, file.partition, file.day, (file.first, offsets[-1]), digest),
        sha256=digest,
        root=root(leaves).hex(),
    )
    files.create(entry.path, content)
    assert archive.entries.create(entry)


def with_column(name: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    """Change one value of one column."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        values = table.column(name).to_pylist()
        values[row] = value
        return table.set_column(at, SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type))

    return change


def with_record(offset: int, changed: Record | None) -> Callable[[pa.Table], pa.Table]:
    """Put another record where one is, its columns too; None: leave it out."""

    def change(table: pa.Table) -> pa.Table:
        records = [record for batch in table.to_batches() for record in records_of(TOPIC, PARTITION, batch)]
        others = [changed if each.offset == offset else each for each in records]
        left = [each for each in others if each is not None]
        return table_of(raw_of_records(left), None, [each.history_time_us for each in left])

    return change
