"""The manifest: an entry for each file, and which of them are the archive. Pure, apart from Entries.

A partition's live files are a chain from offset 0: an entry is named by the offset that it goes on at, there is one
place for it at each level, and the highest level wins. So of two writers one wins at each offset, and a compaction
takes the place of all that it covers at the moment that its entry is there.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from threading import Lock
from typing import Final

import msgspec

from infra.archive.errors import ArchiveDamaged
from infra.archive.files import Files
from infra.archive.layout import LEVELS, entries_path, entry_path, follows_of


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the archive: the records [first, last] of a partition, of one day of history time.

    `follows`: the offset after the file before it. It is `first`, unless Kafka had lost what is between before it could
    be archived. `path`, within the archive, `bytes` and `sha256` are of the file; `root` is the Merkle root of its
    leaves, in hex; `first_time` and `last_time` are microseconds since 1970, `first_position` and `last_position` the
    least and the greatest place in the event log, where there is one; `uncompressed_bytes` counts keys and values.
    """

    topic: str
    partition: int
    level: int
    day: date
    follows: int
    first: int
    last: int
    rows: int
    bytes: int
    path: str
    sha256: str
    root: str
    first_time: int
    last_time: int
    first_position: int | None
    last_position: int | None
    uncompressed_bytes: int

    @property
    def end(self) -> int:
        """The offset after its last."""
        return self.last + 1

    @property
    def missing(self) -> int:
        """How many offsets before it nobody has."""
        return self.first - self.follows

    @property
    def entry(self) -> str:
        """Where its entry is."""
        return entry_path(self.topic, self.partition, self.level, self.follows)

    @property
    def last_moment(self) -> datetime:
        """The history time of its last record."""
        return datetime.fromtimestamp(self.last_time / 1e6, UTC)


LISTING_TRIES: Final = 5
Find = Callable[[str], ArchivedFile]
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ArchivedFile).decode


def live(paths: Iterable[str], find: Find) -> Iterator[ArchivedFile]:
    """The files of a partition that are the archive, in order, of its entries' paths, level by level from 0."""
    highest = {follows: path for path in paths if (follows := follows_of(path)) is not None}
    at = 0
    while (path := highest.get(at)) is not None:
        file = find(path)
        if file.end <= at:
            raise ArchiveDamaged(path, f"an entry that goes on at {at} ends at {file.last}")
        yield file
        at = file.end


class Entries:
    """The entries, as files. Those read are kept, as they never change: at most `kept`."""

    def __init__(self, files: Files, kept: int) -> None:
        self._files = files
        self._kept = kept
        self._known: dict[str, ArchivedFile] = {}
        self._lock = Lock()

    def paths(self, topic: str, partition: int) -> list[str]:
        """Of a partition, level by level. In this order, what is superseded meanwhile is not missed: the higher level
        is looked at after it.
        """
        return [path for level in LEVELS for path in self._files.names(entries_path(topic, partition, level))]

    def of(self, topic: str, partition: int) -> list[ArchivedFile]:
        """The live files of a partition, in order."""
        for _ in range(LISTING_TRIES):
            try:
                return list(live(self.paths(topic, partition), self.read))
            except FileNotFoundError as error:
                gone = error  # superseded and removed since it was listed: what took its place is listed now
        raise ArchiveDamaged(entries_path(topic, partition, 0), f"an entry is listed and not there ({gone})")

    def read(self, path: str) -> ArchivedFile:
        """An entry. Raises FileNotFoundError, ArchiveAway, and ArchiveDamaged for what is no entry."""
        if (known := self._known.get(path)) is not None:
            return known
        try:
            file = _decode(self._files.read(path))
        except msgspec.DecodeError as error:
            raise ArchiveDamaged(path, f"is no entry of the manifest ({error})") from error
        if file.entry != path:
            raise ArchiveDamaged(path, f"holds the entry of another file, {file.entry}")
        self._keep(path, file)
        return file

    def create(self, file: ArchivedFile) -> bool:
        """Make a file part of the archive; False if there is an entry in its place."""
        return self._files.create(file.entry, _encode(file))

    def forget(self, path: str) -> None:
        """Remove an entry that is not live."""
        self._files.remove(path)
        with self._lock:
            self._known.pop(path, None)

    def _keep(self, path: str, file: ArchivedFile) -> None:
        with self._lock:
            while len(self._known) >= self._kept:
                del self._known[next(iter(self._known))]
            self._known[path] = file
