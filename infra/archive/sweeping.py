"""What is not of the archive any more is removed: what a compaction took the place of, and what writers left that were
killed or came second. Blocks.

Nothing goes whose place could still become its own: a data file without an entry only once the chain has gone past it,
for then no entry can name it; a superseded one only once what took its place was read back whole.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from infra.archive import metrics
from infra.archive.errors import ArchiveDamaged
from infra.archive.files import Found
from infra.archive.layout import DATA, DRAFTS, MANIFEST, first_of
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.telemetry import log


class _Entry(NamedTuple):
    found: Found
    file: ArchivedFile


def sweep(archive: Archive, now: datetime) -> int:
    """Remove what has been of no use for archive_superseded_kept_s; how many data files. A partition that is damaged
    stays as it is. Raises ArchiveAway, OSError.
    """
    before = now - timedelta(seconds=archive.settings.archive_superseded_kept_s)
    removed = 0
    for topic, partition in archive.partitions():
        try:
            removed += _sweep_superseded(archive, topic, partition, before)
        except ArchiveDamaged as error:
            log.error("archive_damaged", topic=topic, partition=partition, reason=str(error))
    for topic in {topic for topic, _ in archive.partitions()}:
        removed += _sweep_strays(archive, topic, before)
    for draft in archive.files_of_store.walk(DRAFTS):
        if draft.modified < before:
            archive.files_of_store.remove(draft.path)
    metrics.SWEPT.inc(removed)
    return removed


def _sweep_superseded(archive: Archive, topic: str, partition: int, before: datetime) -> int:
    entries = {each.found.path: each for each in _entries(archive, topic, partition)}
    live = archive.files(topic, partition)
    named = {file.path for file in live}
    removed = 0
    for of in live:
        if (cover := entries.get(of.entry)) is None or cover.found.modified >= before:
            continue
        beneath = [
            each.file
            for each in entries.values()
            if of.follows <= each.file.follows < of.end and each.file != of and each.found.modified < before
        ]
        if beneath:
            archive.check(of)
        for file in beneath:
            archive.entries.forget(file.entry)
            if file.path not in named:
                archive.files_of_store.remove(file.path)
                removed += 1
    return removed


def _entries(archive: Archive, topic: str, partition: int) -> Iterator[_Entry]:
    for found in archive.files_of_store.walk(f"{MANIFEST}/{topic}/{partition}"):
        with suppress(FileNotFoundError):
            yield _Entry(found, archive.entries.read(found.path))


def _sweep_strays(archive: Archive, topic: str, before: datetime) -> int:
    """Data files that no entry names. They are listed before the manifest is read, so that one that gets its entry
    meanwhile is seen to have it.
    """
    data = [found for found in archive.files_of_store.walk(f"{DATA}/{topic}") if found.modified < before]
    removed = 0
    for partition in {number for of, number in archive.partitions() if of == topic}:
        beneath = f"/partition={partition:02d}/"
        found = [each for each in data if beneath in each.path]
        if not found:
            continue
        end = archive.end(topic, partition)  # before the names: whose place is taken by now has its entry among them
        named = {each.file.path for each in _entries(archive, topic, partition)}
        for stray in found:
            first = first_of(stray.path)
            if stray.path not in named and first is not None and first < end:
                archive.files_of_store.remove(stray.path)
                removed += 1
    return removed
