"""Files of the archive, on a local file system or an S3-compatible store, by fsspec. Blocks; may be used by threads.

All that is written is created exclusively: whole, or not at all, and never over something that is there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import fsspec
import msgspec

from infra.archive.errors import ArchiveAway
from infra.archive.layout import DRAFTS
from infra.ids import new_id
from infra.settings import Settings

S3_TRIES: Final = 3


class Found(NamedTuple):
    """A file that is there: its path in the archive, its bytes, and when it was written."""

    path: str
    bytes: int
    modified: datetime


class Files(Protocol):
    """A place for files. `filesystem` and `root` are fsspec's, for those who read columns."""

    filesystem: Any
    root: str

    def create(self, path: str, content: bytes) -> bool:
        """Make a file; False if there is one. Raises OSError (ArchiveAway): then it is there whole, or not at all."""

    def read(self, path: str) -> bytes:
        """A file's content. Raises FileNotFoundError, ArchiveAway."""

    def open(self, path: str, buffer_bytes: int) -> Any:
        """A file to read in, which seeks. Raises FileNotFoundError, ArchiveAway."""

    def names(self, directory: str) -> list[str]:
        """The paths of what is in a directory, in order; none if there is no such directory. Raises ArchiveAway."""

    def walk(self, directory: str) -> Iterator[Found]:
        """Every file below a directory, in order of their paths. Raises ArchiveAway."""

    def remove(self, path: str) -> None:
        """Remove a file, if it is there. Raises ArchiveAway."""

    def reaching(self) -> Any:
        """A context in which the store's own errors become ArchiveAway."""


def open_files(settings: Settings) -> Files:
    """The files at settings.archive_url. Makes no connection yet."""
    location = settings.archive_location
    return S3Files(location, settings) if location.startswith("s3://") else LocalFiles(location)


class _Files:
    def __init__(self, filesystem: Any, root: str) -> None:
        self.filesystem = filesystem
        self.root = root

    def read(self, path: str) -> bytes:
        with self.reaching():
            content: bytes = self.filesystem.cat_file(self._at(path))
            return content

    def open(self, path: str, buffer_bytes: int) -> Any:
        with self.reaching():
            return self.filesystem.open(self._at(path), "rb", block_size=buffer_bytes)

    def names(self, directory: str) -> list[str]:
        with self.reaching():
            try:
                return sorted(self._within(name) for name in self.filesystem.ls(self._at(directory), detail=False))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def walk(self, directory: str) -> Iterator[Found]:
        with self.reaching():
            found = self.filesystem.find(self._at(directory), detail=True)
        for name, told in sorted(found.items()):
            yield Found(self._within(name), told["size"], _modified(told))

    def remove(self, path: str) -> None:
        with self.reaching(), suppress(FileNotFoundError):
            self.filesystem.rm_file(self._at(path))

    @contextmanager
    def reaching(self) -> Iterator[None]:
        yield

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _within(self, name: str) -> str:
        return name.removeprefix(self.root).strip("/")


class LocalFiles(_Files):
    """Files in a directory of this machine, or one that it mounts. What is created is a draft first, synced to the
    disk, and gets its name by link(), which refuses to replace.
    """

    def __init__(self, location: str) -> None:
        filesystem = fsspec.filesystem("file", use_listings_cache=False)
        super().__init__(filesystem, filesystem._strip_protocol(location))

    def create(self, path: str, content: bytes) -> bool:
        at, draft = Path(self._at(path)), Path(self._at(f"{DRAFTS}/{new_id()}"))
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_synced(draft, content)
            at.parent.mkdir(parents=True, exist_ok=True)
            os.link(draft, at)
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(at.parent)
        return True


class S3Files(_Files):
    """Objects of a bucket, by s3fs. What is created is put with If-None-Match: *, which S3 and those like it refuse
    where there is one.
    """

    def __init__(self, location: str, settings: Settings) -> None:
        options = dict(settings.archive_options)
        endpoint = options.pop("endpoint_url", None)
        filesystem = fsspec.filesystem(
            "s3",
            endpoint_url=endpoint,
            client_kwargs=options,
            config_kwargs={
                "connect_timeout": settings.archive_timeout_s,
                "read_timeout": settings.archive_timeout_s,
                "retries": {"max_attempts": 1},  # s3fs tries again by itself
            },
            use_listings_cache=False,
            skip_instance_cache=True,
            **_credentials(settings),
        )
        filesystem.retries = S3_TRIES
        super().__init__(filesystem, location.removeprefix("s3://").rstrip("/"))

    def create(self, path: str, content: bytes) -> bool:
        with self.reaching():
            try:
                self.filesystem.pipe_file(self._at(path), content, mode="create")
            except FileExistsError:
                return False
            return True

    @contextmanager
    def reaching(self) -> Iterator[None]:
        from aiohttp import ClientError  # noqa: PLC0415 - heavy, and of S3 alone
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
        from botocore.exceptions import ClientError as S3Error  # noqa: PLC0415

        try:
            yield
        except (BotoCoreError, S3Error, ClientError, TimeoutError) as error:
            raise ArchiveAway(f"the archive's store: {error!r}") from error


class _Key(msgspec.Struct, frozen=True):
    key: str
    secret: str
    token: str | None = None


def _credentials(settings: Settings) -> dict[str, str | None]:
    if settings.archive_key_file is None:
        return {}
    return msgspec.structs.asdict(msgspec.json.decode(settings.archive_key_file.read_bytes(), type=_Key))


def _modified(told: dict[str, Any]) -> datetime:
    when = told.get("LastModified")
    return when if isinstance(when, datetime) else datetime.fromtimestamp(told["mtime"], UTC)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
