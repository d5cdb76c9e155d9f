"""What an import remembers beside its file: FILE.state, the lines that were taken, so that it goes on where it stopped,
and FILE.errors.jsonl, the lines that were not, with the reason.
"""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from commands.catalog.importing.lines import Identity, LineProblem

FLUSH_EVERY: Final = 200
DIGEST_BYTES: Final = 12


class StateUnreadable(Exception):
    """FILE.state is there and was not written by an import."""


class Taken(NamedTuple):
    """A line that was taken: what it was about, what it said, and the stream that has it."""

    key: bytes
    content: bytes
    stream_id: str

    @classmethod
    def of(cls, identity: Identity, line: bytes, stream_id: str) -> Self:
        """The trace of a line."""
        return cls(identity.key, digest_of(line), stream_id)


def digest_of(line: bytes) -> bytes:
    """What tells one content of a line from another."""
    return hashlib.blake2b(line, digest_size=DIGEST_BYTES).digest()


class Journal:
    """The lines that were taken, by what they are about: of several for one title, the last counts. About 200 bytes of
    memory a line. A line that is written here is in the log; one that is in the log and not here yet is asked for
    again, and ignored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: dict[bytes, bytes] = {}
        self.last_stream: str | None = None
        self._waiting: list[str] = []

    @classmethod
    def load(cls, path: Path) -> Self:
        """What was remembered; a last line that was cut off is not. Raises StateUnreadable."""
        journal = cls(path)
        if not path.exists():
            return journal
        with path.open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.endswith("\n"):
                    journal._remember(_parsed(line, path))
        return journal

    def __len__(self) -> int:
        return len(self._taken)

    def has(self, identity: Identity, line: bytes) -> bool:
        """Whether this line, as it is, is what was taken last for its title."""
        return self._taken.get(identity.key) == digest_of(line)

    def take(self, taken: Taken) -> None:
        """Remember a line; it is on disk within FLUSH_EVERY others, and after flush()."""
        self._remember(taken)
        self._waiting.append(f"{taken.key.hex()} {taken.content.hex()} {taken.stream_id}\n")
        if len(self._waiting) >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet."""
        if self._waiting:
            with self._path.open("a", encoding="ascii") as file:
                file.write("".join(self._waiting))
            self._waiting.clear()

    def forget(self) -> None:
        """Begin anew."""
        self._taken.clear()
        self._path.unlink(missing_ok=True)

    def _remember(self, taken: Taken) -> None:
        self._taken[taken.key] = taken.content
        self.last_stream = taken.stream_id


def _parsed(line: str, path: Path) -> Taken:
    try:
        key, content, stream_id = line.split()
        return Taken(bytes.fromhex(key), bytes.fromhex(content), stream_id)
    except ValueError as error:
        raise StateUnreadable(f"{path} holds a line that no import wrote: {line[:80]!r}; remove the file") from error


class LineError(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of FILE.errors.jsonl."""

    line: int
    external_id: str | None
    problem: str
    detail: str
    pointer: str | None = None


class ErrorFile:
    """FILE.errors.jsonl: written anew by each run, and gone when nothing was wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        path.unlink(missing_ok=True)

    def write(self, number: int, external_id: str | None, problem: LineProblem) -> None:
        """Note why a line was not taken."""
        self.count += 1
        error = LineError(number, external_id, problem.problem, problem.detail, problem.pointer)
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(error) + b"\n")
