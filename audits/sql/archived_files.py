"""The archive as DuckDB sees it: a filesystem of the files that the manifest names, which can be read and not written.

It is why a query cannot harm the archive. DuckDB's own `allowed_paths` are not enough for that: a file that may be read
may be written too, and `with x as (copy ... to '...') select ...` is a SELECT.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import BinaryIO, Final, NamedTuple

from fsspec.spec import AbstractFileSystem

PROTOCOL: Final = "archive"
NEVER_CHANGES: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When a file was changed last: what is archived is not changed."""


class Entry(NamedTuple):
    """A file: its size, and how it is opened for reading."""

    size_bytes: int
    open: Callable[[], BinaryIO]


def url_of(path: str) -> str:
    """How a query names a file."""
    return f"{PROTOCOL}://{path}"


class ArchivedFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """The filesystem. `entries`: by the path within the archive; there is nothing else in it."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        super().__init__()
        self._entries = entries

    def info(self, path: str, **_: object) -> dict[str, object]:
        """A file's size. Raises FileNotFoundError."""
        name = self._strip_protocol(path)
        return {"name": name, "type": "file", "size": self._entry(name).size_bytes}

    def glob(self, path: str, maxdepth: int | None = None, **_: object) -> list[str]:
        """The file of exactly this name, if there is one: DuckDB asks so for each that a view names."""
        name = self._strip_protocol(path)
        return [name] if name in self._entries else []

    def modified(self, path: str) -> datetime:
        """When it was changed: never."""
        return NEVER_CHANGES

    def _open(self, path: str, mode: str = "rb", **_: object) -> BinaryIO:
        if mode != "rb":
            raise PermissionError("what is archived can be read and not written")
        return self._entry(path).open()

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise FileNotFoundError(name)
        return self._entries[name]
