"""Archives in directories, with records to be tampered with, and keys of their own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from audits.verifying import checkpoints
from audits.verifying.checkpoints import Checkpoint, Head, Range, Stored, reached
from audits.verifying.keys import SigningKeys
from audits.verifying.leaves import tree_of
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.archive.writing import write_file
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
