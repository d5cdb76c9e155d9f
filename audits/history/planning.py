"""Where each partition's archive, Kafka and log meet, decided once when a reading begins: while it goes on, Kafka gives
records over to the archive, and the log to Kafka, and nothing is seen twice or not at all.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from audits.history.asked import Asked
from audits.history.cursors import Bounds
from audits.history.events import RELAYED
from audits.history.from_kafka import FromKafka
from audits.history.from_log import FromLog
from audits.sources import Source, Sources
from events.topics import CONTEXTS, PLAYBACK
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.batches import hash_of
from infra.event_log import partition_of
from infra.settings import Settings

Partition = tuple[str, int]
OF_LOG = tuple(f"{context}." for context, topic in CONTEXTS.items() if topic.name in RELAYED)


class Stretch(NamedTuple):
    """One partition: its files in the archive, what to read of Kafka (from `first` to before `end`), and of the log
    (after the last position of both and after `relayed`, up to `head`).
    """

    partition: Partition
    files: list[ArchivedFile]
    first: int = 0
    end: int = 0
    relayed: int = 0
    head: int = 0

    @property
    def archived(self) -> int:
        """The offset after what the archive has."""
        return self.files[-1].end if self.files else 0

    @property
    def hole(self) -> int:
        """How many records are in Kafka no more, and not in the archive."""
        return max(self.first - self.archived, 0) + sum(file.missing for file in self.files)

    @property
    def highest(self) -> int:
        """The highest position in the archive."""
        return highest_of(self.files)

    @property
    def records(self) -> int:
        """How many are in archive and Kafka."""
        return sum(file.rows for file in self.files) + self.end - self.first


class Plan(NamedTuple):
    """What is read, in the partitions' order, up to where, and what the answer will lack."""

    stretches: list[Stretch]
    bounds: Bounds
    lacks: list[str]


async def plan(sources: Sources, asked: Asked, kafka: FromKafka | None, bounds: Bounds | None) -> Plan:
    """Look at the sources in this order: what one gives over meanwhile, the one after it has. `bounds`: of the first
    page, on those after it. Raises SourceAway, ArchiveDamaged.
    """
    archive, pool = await sources.archive(), await sources.log()
    log = None if pool is None else FromLog(pool)
    relayed = {} if log is None or kafka is None else await log.relayed()
    topics = asked.topics_to_read()
    in_kafka = [] if kafka is None else await kafka.partitions(topics)
    files = {} if archive is None else await sources.run(_files, archive, topics)
    ends = (
        {}
        if kafka is None
        else await kafka.bounds([each for each in in_kafka if _is_asked(each, asked, in_kafka, sources.settings)])
    )
    heads = {} if log is None else await log.heads()
    in_log = [(topic, number) for topic in topics if topic in RELAYED for number, head in heads.items() if head]
    known = sorted({*in_kafka, *files, *in_log})
    stretches = [
        _stretch(each, files.get(each, []), ends.get(each), relayed, heads)
        for each in known
        if _is_asked(each, asked, in_kafka, sources.settings)
    ]
    return Plan(stretches, bounds or _bounds(stretches, heads), [*_left_out(sources.left_out), *_holes(stretches)])


def highest_of(files: Iterable[ArchivedFile]) -> int:
    """The highest position in files; 0 for none."""
    return max((file.last_position or 0 for file in files), default=0)


def _files(archive: Archive, topics: Collection[str]) -> dict[Partition, list[ArchivedFile]]:
    return {each: archive.files(*each) for each in archive.partitions() if each[0] in topics}


def _stretch(
    partition: Partition,
    files: list[ArchivedFile],
    bounds: tuple[int, int] | None,
    relayed: Mapping[int, int],
    heads: Mapping[int, int],
) -> Stretch:
    archived = files[-1].end if files else 0
    begin, end = bounds or (archived, archived)
    first = max(archived, begin)
    of_log = (relayed.get(partition[1], 0), heads.get(partition[1], 0)) if partition[0] in RELAYED else (0, 0)
    return Stretch(partition, files, first, max(first, end), *of_log)


def _bounds(stretches: Iterable[Stretch], heads: Mapping[int, int]) -> Bounds:
    ends: dict[str, dict[int, int]] = defaultdict(dict)
    for each in stretches:
        if each.end:
            ends[each.partition[0]][each.partition[1]] = each.end
    return Bounds(dict(ends), {number: head for number, head in heads.items() if head})


def _is_asked(partition: Partition, asked: Asked, in_kafka: Collection[Partition], settings: Settings) -> bool:
    """Whether a partition can hold what is asked for: a stream is in one of the log's, a profile in one of playback."""
    topic, number = partition
    if asked.streams and topic in RELAYED:
        ours = [each for each in asked.streams if each.startswith(f"{topic.partition('.')[0]}.")]
        return any(partition_of(each, settings.log_partitions) == number for each in ours)
    if asked.streams and topic == PLAYBACK.name and all(each.startswith(OF_LOG) for each in asked.streams):
        return False
    count = sum(each[0] == topic for each in in_kafka)
    if asked.profiles and topic == PLAYBACK.name and count:
        return any(hash_of(each.encode()) % count == number for each in asked.profiles)
    return True


def _left_out(left_out: Collection[Source]) -> Iterable[str]:
    if Source.ARCHIVE in left_out:
        yield "without the archive: what Kafka holds no more is missing, but for what the log has"
    if Source.KAFKA in left_out:
        yield "without Kafka: of topics that the log does not hold, what was not archived yet is missing"
    if Source.LOG in left_out:
        yield "without the log: what was not relayed yet is missing"


def _holes(stretches: Iterable[Stretch]) -> Iterable[str]:
    """A line for each topic of which records are neither in the archive nor in Kafka."""
    missing: dict[str, int] = defaultdict(int)
    for each in stretches:
        missing[each.partition[0]] += each.hole
    for topic, count in missing.items():
        if count:
            yield f"{topic}: {count} records are in Kafka no more, and were not archived"
