"""Checks what the archive holds of a partition against itself: the manifest without a hole, each file the one that its
entry names, its records gapless and its columns true, its Merkle root, and the roots of the checkpoints over it.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from audits.verifying.checkpoints import Range, path_of
from audits.verifying.columns import differing
from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.leaves import leaves_of
from audits.verifying.relayed import Found
from infra.archive.columns import SCHEMA, Raw
from infra.archive.errors import ArchiveDamaged
from infra.archive.layout import ARCHIVED, data_path, follows_of
from infra.archive.manifest import ArchivedFile
from infra.archive.merkle import Tree
from infra.archive.store import Archive

UNREADABLE: Final = (pa.ArrowException, OSError, ValueError)


class Signed(NamedTuple):
    """A range of a partition, and the checkpoint that signed it."""

    number: int
    range: Range


class Step(NamedTuple):
    """Some records that were read, and what is wrong with them. `end`: the offset after them, where a file ends there,
    so that one may go on from it; else None.
    """

    findings: list[Finding]
    records: list[Found]
    end: int | None = None


class Archived:
    """The check of one partition. `signed`: what checkpoints say of it, in order."""

    def __init__(self, archive: Archive, topic: str, partition: int, signed: Sequence[Signed]) -> None:
        self._archive = archive
        self._topic = topic
        self._partition = partition
        self._signed = list(signed)
        self._tree = Tree()
        self._spoiled = False
        self._last_us: int | None = None
        self.end = 0

    def steps(self, after: int = 0) -> Iterator[Step]:
        """All of it, or from an offset at which a file and a checkpoint's range begin, step by step. Raises
        ArchiveAway.
        """
        files, found = self.entries()
        yield Step(found, [])
        self._signed = [each for each in self._signed if each.range.last >= after]
        for file in files:
            self.end = max(self.end, file.end)
            if file.first < after:
                self._last_us = file.last_time
                continue
            yield from self._file(file)
            yield Step(self._over(file.end), [], file.end)
        yield Step(self._cut_off(), [])

    def at_a_boundary(self) -> bool:
        """Whether one may go on from here: no checkpoint's range is read half."""
        return self._tree.size == 0 and not self._spoiled

    def entries(self) -> tuple[list[ArchivedFile], list[Finding]]:
        """The live files, and what is wrong with the manifest: it is gone on with after a hole in it."""
        entries, found = self._archive.entries, list[Finding]()
        paths = entries.paths(self._topic, self._partition)
        highest = {follows: path for path in paths if (follows := follows_of(path)) is not None}
        files, at = list[ArchivedFile](), 0
        while highest:
            if at not in highest:
                later = [follows for follows in highest if follows > at]
                if not later:
                    break
                found.append(self._hole(at, min(later) - 1))
                at = min(later)
            path = highest.pop(at)
            try:
                file = entries.read(path)
                if file.end <= at or file.follows != at or file.topic != self._topic:
                    raise ArchiveDamaged(path, f"says that it goes on at {file.follows} and ends at {file.last}")
            except (ArchiveDamaged, FileNotFoundError) as error:
                found.append(self._wrong(Kind.FLIPPED, "manifest entry", at, file=path, found=str(error)))
                at += 1
                continue
            files.append(file)
            at = file.end
        return files, found

    def _file(self, file: ArchivedFile) -> Iterator[Step]:
        try:
            content = self._archive.files_of_store.read(file.path)
        except FileNotFoundError:
            missing = self._of(file, Kind.REMOVED, "file", expected=f"offsets {file.first} to {file.last}")
            self._spoiled = True
            yield Step([missing], [])
            return
        found = list(self._identity(file, content))
        tree, at, rows = Tree(), file.first, 0
        try:
            for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches(
                self._archive.settings.archive_read_batch_records, use_threads=False
            ):
                if batch.schema.names != SCHEMA.names:
                    raise ValueError("it has other columns")
                step, leaves, at = self._batch(file, batch, at)
                tree.extend(leaves)
                rows += len(leaves)
                yield Step([*found, *step.findings], step.records)
                found = []
        except UNREADABLE as error:
            found.append(self._of(file, Kind.FLIPPED, "file, which cannot be read", found=str(error)))
            self._spoiled = True
        found += self._told(file, tree, at, rows)
        yield Step(found, [])

    def _identity(self, file: ArchivedFile, content: bytes) -> Iterator[Finding]:
        digest = sha256(content).hexdigest()
        name = data_path(file.topic, file.partition, file.day, (file.first, file.last), file.sha256)
        if digest != file.sha256 or len(content) != file.bytes:
            yield self._of(file, Kind.REPLACED, "file", expected=file.sha256, found=digest)
        if not _is_named(file, name):
            yield self._of(file, Kind.FLIPPED, "path in the manifest entry", expected=name, found=file.path)

    def _batch(self, file: ArchivedFile, batch: pa.RecordBatch, at: int) -> tuple[Step, list[bytes], int]:
        """One batch's findings and records, its leaves, and the offset that comes after it."""
        found, raw = list[Finding](), _raw(self._topic, self._partition, batch)
        for offset in raw.offsets if raw.offsets != list(range(at, at + batch.num_rows)) else ():
            if offset != at:
                found.append(self._out_of_line(file, offset, at))
            at = max(at, offset) + 1
        at = max(at, raw.offsets[-1] + 1)
        for row, column, expected, says in differing(raw, batch, self._last_us):
            place = raw.offsets[row], raw.positions[row], batch.column("id")[row].as_py()
            found.append(self._row(file, f"column {column}", place, expected, says))
        self._last_us = batch.column("history_time")[-1].value
        leaves = leaves_of(self._topic, self._partition, batch)
        self._sign(raw.offsets, leaves, found)
        records = list(map(Found, raw.offsets, raw.positions, raw.keys, raw.values))
        return Step(found, records), leaves, at

    def _told(self, file: ArchivedFile, tree: Tree, at: int, rows: int) -> Iterator[Finding]:
        """What the entry says that the file does not."""
        if at != file.end:
            kind = Kind.TRUNCATED if at < file.end else Kind.INSERTED
            told = (f"to offset {file.last}", f"to offset {at - 1}")
            yield self._of(file, kind, "records of the file", expected=told[0], found=told[1])
        if rows != file.rows:
            yield self._of(file, Kind.FLIPPED, "rows of the file", expected=str(file.rows), found=str(rows))
        if (root := tree.root().hex()) != file.root:
            yield self._of(file, Kind.FLIPPED, "records of the file (Merkle root)", expected=file.root, found=root)

    def _sign(self, offsets: Sequence[int], leaves: Sequence[bytes], found: list[Finding]) -> None:
        """Add leaves to the tree of the checkpoint that holds them, and compare those that are whole."""
        start = 0
        while self._signed and start < len(leaves):
            last = self._signed[0].range.last
            until = start
            if offsets[-1] <= last:
                until = len(leaves)
            else:
                until = next(index for index in range(start, len(offsets)) if offsets[index] > last)
            self._tree.extend(leaves[start:until])
            if offsets[-1] > last:
                found += self._compared()
            start = until

    def _over(self, end: int) -> list[Finding]:
        """At the end of a file: the checkpoints that end there too."""
        found = list[Finding]()
        while self._signed and self._signed[0].range.last < end:
            found += self._compared()
        return found

    def _compared(self) -> Iterator[Finding]:
        number, held = self._signed.pop(0)
        tree, spoiled = self._tree, self._spoiled
        self._tree, self._spoiled = Tree(), False
        if not spoiled and (tree.root().hex() != held.root or tree.size != held.size):
            yield Finding(
                kind=Kind.REWRITTEN,
                store=Store.ARCHIVE,
                what=f"records that checkpoint {number} signed ({held.size} of them, Merkle root)",
                topic=self._topic,
                partition=self._partition,
                offset=held.first,
                last=held.last,
                file=path_of(number),
                expected=held.root,
                found=f"{tree.root().hex()} of {tree.size}",
            )

    def _cut_off(self) -> list[Finding]:
        """What checkpoints signed and the archive has no more."""
        if not self._signed:
            return []
        first, last = max(self.end, self._signed[0].range.first), self._signed[-1].range.last
        told = f"checkpoint {self._signed[-1].number} holds it to offset {last}"
        finding = self._wrong(Kind.TRUNCATED, "archive", first, expected=told, found=f"it ends at {self.end - 1}")
        return [_to(finding, last)]

    def _hole(self, first: int, last: int) -> Finding:
        return _to(self._wrong(Kind.REMOVED, "manifest entry", first, expected="an entry that goes on here"), last)

    def _out_of_line(self, file: ArchivedFile, offset: int, expected: int) -> Finding:
        if offset > expected:
            return _to(self._of(file, Kind.REMOVED, "records", offset=expected), offset - 1)
        return self._of(file, Kind.INSERTED, "record", offset=offset, expected=f"offset {expected}")

    def _row(
        self, file: ArchivedFile, what: str, place: tuple[int, int | None, str | None], expected: str, found: str
    ) -> Finding:
        offset, position, event_id = place
        return Finding(
            kind=Kind.FLIPPED,
            store=Store.ARCHIVE,
            what=what,
            topic=self._topic,
            partition=self._partition,
            offset=offset,
            position=position,
            event_id=event_id,
            file=file.path,
            expected=expected,
            found=found,
        )

    def _of(
        self,
        file: ArchivedFile,
        kind: Kind,
        what: str,
        *,
        offset: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> Finding:
        at = file.first if offset is None else offset
        finding = self._wrong(kind, what, at, file=file.path, expected=expected, found=found)
        return _to(finding, file.last) if offset is None else finding

    def _wrong(
        self,
        kind: Kind,
        what: str,
        offset: int,
        *,
        file: str | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> Finding:
        return Finding(
            kind=kind,
            store=Store.ARCHIVE,
            what=what,
            topic=self._topic,
            partition=self._partition,
            offset=offset,
            file=file,
            expected=expected,
            found=found,
        )


def _is_named(file: ArchivedFile, name: str) -> bool:
    """Whether a path says what is in it. What is compacted has some more behind it each time."""
    if file.level == ARCHIVED:
        return file.path == name
    return file.path.startswith(name.removesuffix(".parquet")) and file.path.endswith(".parquet")


def _raw(topic: str, partition: int, batch: pa.RecordBatch) -> Raw:
    lists = (batch.column(name).to_pylist() for name in ("offset", "key", "value", "position", "headers"))
    offsets, keys, values, positions, headers = lists
    timestamps = batch.column("timestamp").cast(pa.int64()).to_pylist()
    return Raw(topic, partition, offsets, timestamps, keys, values, positions, headers)


def _to(finding: Finding, last: int) -> Finding:
    return structs.replace(finding, last=last)
