"""What the manifest names, for queries: the live files of every topic."""

from functools import partial
from typing import Final

from audits.sql.archived_files import Entry
from audits.sql.asking import Files
from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive.store import Archive

TOPIC_NAMES: Final = tuple(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))


def archived(archive: Archive) -> Files:
    """The files of each topic, in order; none for a topic of which nothing is archived. Raises ArchiveAway,
    ArchiveDamaged.
    """
    found: dict[str, dict[str, Entry]] = {name: {} for name in TOPIC_NAMES}
    buffer_bytes = archive.settings.archive_read_buffer_bytes
    for topic, number in archive.partitions():
        for file in archive.files(topic, number):
            opening = partial(archive.files_of_store.open, file.path, buffer_bytes)
            found.setdefault(topic, {})[file.path] = Entry(file.bytes, opening)
    return found
