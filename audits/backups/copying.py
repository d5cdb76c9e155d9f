"""Copies an archive's files, as they are, with their entries in the manifest and the checkpoints that are signed."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from audits.backups.manifest import ARCHIVE, CHUNK_BYTES, BackupRefused, Written
from audits.backups.showing import Show, Step
from audits.verifying.checkpoints import DIRECTORY
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive


def copied(archive: Archive, files: Sequence[ArchivedFile], to: Path, show: Show) -> list[Written]:
    """Copy these files and what says of them that they are the archive. Blocks. Raises OSError, BackupRefused."""
    digests = {file.path: file.sha256 for file in files}
    written = []
    for number, path in enumerate(_paths(files)):
        show(Step("copying the archive", number, 2 * len(files)))
        one = _copied(archive, path, to)
        if digests.get(path, one.sha256) != one.sha256:
            raise BackupRefused(f"{path} of the archive is not what its manifest says: `playhead audit verify`")
        written.append(one)
    return written


def copied_checkpoints(archive: Archive, to: Path) -> list[Written]:
    """Copy the checkpoints that are there, and the public keys beside them. Blocks. Raises OSError."""
    return [_copied(archive, found.path, to) for found in list(archive.files_of_store.walk(DIRECTORY))]


def bring_checkpoints(directory: Path, archive: Archive) -> None:
    """Put those of a backup where they are not. Blocks. Raises OSError."""
    within = directory / ARCHIVE
    for path in sorted((within / DIRECTORY).rglob("*.json")):
        archive.files_of_store.create(str(path.relative_to(within)), path.read_bytes())


def _paths(files: Iterable[ArchivedFile]) -> Iterable[str]:
    for file in files:
        yield file.path
        yield file.entry


def _copied(archive: Archive, path: str, to: Path) -> Written:
    store, digest, size = archive.files_of_store, sha256(), 0
    (to / path).parent.mkdir(parents=True, exist_ok=True)
    buffer_bytes = archive.settings.archive_read_buffer_bytes
    with store.reaching(), store.open(path, buffer_bytes) as source, (to / path).open("xb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += copy.write(chunk)
    return Written(f"{ARCHIVE}/{path}", size, digest.hexdigest())
