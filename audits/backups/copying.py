"""Copies an archive's files, as they are, with their entries in the manifest and the checkpoints that are signed."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from audits.backups.manifest import ARCHIVE, CHUNK_BYTES, BackupRefused, Written
from audits.backups.showing import Show, Step
from infra.archive.files import Files
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive

CHECKPOINTS: Final = "checkpoints"


def copied(archive: Archive, files: Sequence[ArchivedFile], to: Path, show: Show) -> list[Written]:
    """Copy these files and what says of them that they are the archive. Blocks. Raises OSError, BackupRefused."""
    store = archive.files_of_store
    paths = [*_paths(files), *(found.path for found in store.walk(CHECKPOINTS))]
    digests = {file.path: file.sha256 for file in files}
    written = []
    for number, path in enumerate(paths):
        show(Step("copying the archive", number, len(paths)))
        one = _copied(store, path, to, archive.settings.archive_read_buffer_bytes)
        if digests.get(path, one.sha256) != one.sha256:
            raise BackupRefused(f"{path} of the archive is not what its manifest says: `playhead audit verify`")
        written.append(one)
    return written


def _paths(files: Iterable[ArchivedFile]) -> Iterable[str]:
    for file in files:
        yield file.path
        yield file.entry


def _copied(store: Files, path: str, to: Path, buffer_bytes: int) -> Written:
    digest, size = sha256(), 0
    (to / path).parent.mkdir(parents=True, exist_ok=True)
    with store.reaching(), store.open(path, buffer_bytes) as source, (to / path).open("xb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += copy.write(chunk)
    return Written(f"{ARCHIVE}/{path}", size, digest.hexdigest())
