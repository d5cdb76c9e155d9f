"""What a backup says of itself, in manifest.json: written last, so that a directory without it is no backup."""

import os
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ARCHIVE: Final = "archive"
TABLES: Final = "postgres"
CHUNK_BYTES: Final = 1024 * 1024


class BackupRefused(Exception):
    """What was asked cannot be done; the message says why, and what can."""


class Written(msgspec.Struct, frozen=True):
    """A file of the backup. `path`: within it."""

    path: str
    bytes: int
    sha256: str


class Dumped(msgspec.Struct, frozen=True):
    """A table, in Postgres' binary COPY format."""

    table: str
    columns: list[str]
    rows: int
    file: Written


class Head(msgspec.Struct, frozen=True):
    """Where a partition of the log ends. `hash`: in hex."""

    partition: int
    position: int
    hash: str


class Part(msgspec.Struct, frozen=True):
    """What of a topic's partition is in the archive: [first, end). `first` is 0, but of topics that keep nothing for
    good.
    """

    topic: str
    partition: int
    first: int
    end: int


class Root(msgspec.Struct, frozen=True):
    """The Merkle root, in hex, over the records [first, last] of a partition."""

    topic: str
    partition: int
    first: int
    last: int
    root: str


class Applied(msgspec.Struct, frozen=True):
    """How far a store's views were. `next_offset`: of the first record that they have not."""

    store: str
    topic: str
    partition: int
    next_offset: int


class Noted(msgspec.Struct, frozen=True):
    """A view, as it was. `digest`: of all its rows, whatever their order."""

    store: str
    view: str
    rows: int
    digest: str


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup. Whatever was acknowledged until `begun_at` is in it; what was after `snapshot_at` is not.

    `revision`: of Postgres' tables; `topics`: how many partitions each has; `relayed`: by partition of the log, the
    position up to which Kafka, and so the archive, has everything; `sealed`: what the master keys must open;
    `keys`: the names of the files that the operator keeps apart; `views`: as of `applied`;
    `checkpoint`: the number of the newest that is in it, 0 for none.
    """

    format: int = FORMAT
    begun_at: datetime
    snapshot_at: datetime
    ended_at: datetime
    revision: str
    topics: dict[str, int]
    heads: list[Head]
    relayed: dict[int, int]
    archive_url: str
    with_archive: bool
    archive: list[Part]
    roots: list[Root]
    tables: list[Dumped]
    copied: list[Written]
    checkpoint: int
    sealed: bytes
    keys: list[str]
    applied: list[Applied]
    views: list[Noted]

    @property
    def files(self) -> Iterator[Written]:
        """All that belong to it."""
        yield from (dumped.file for dumped in self.tables)
        yield from self.copied

    @property
    def bytes(self) -> int:
        """Of them."""
        return sum(each.bytes for each in self.files)


def write(directory: Path, backup: Backup) -> None:
    """Make a directory a backup; on the disk when this returns."""
    content = msgspec.json.format(msgspec.json.encode(backup), indent=1)
    with (directory / MANIFEST).open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read(directory: Path) -> Backup:
    """The manifest of a backup. Raises BackupRefused."""
    try:
        backup = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Backup)
    except FileNotFoundError as error:
        raise BackupRefused(f"{directory} has no {MANIFEST}: it is no backup, or one that was not ended") from error
    except msgspec.MsgspecError as error:
        raise BackupRefused(f"{directory / MANIFEST} cannot be read: {error}") from error
    if backup.format != FORMAT:
        raise BackupRefused(f"{directory} has format {backup.format}, and this release knows {FORMAT}")
    return backup


def check(directory: Path, backup: Backup) -> None:
    """Compare every file with its digest. Blocks. Raises BackupRefused."""
    for file in backup.files:
        try:
            found = digested(directory, file.path)
        except FileNotFoundError as error:
            raise BackupRefused(f"{directory / file.path} is gone") from error
        if found != file:
            raise BackupRefused(
                f"{directory / file.path} has {found.bytes} bytes and SHA-256 {found.sha256}, where the manifest says "
                f"{file.bytes} and {file.sha256}"
            )


def digested(directory: Path, path: str) -> Written:
    """A file as it is. Blocks."""
    digest, size = sha256(), 0
    with (directory / path).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Written(path, size, digest.hexdigest())
