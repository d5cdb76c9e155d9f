"""What the engine takes in and remembers: slabs of records from one partition, and how far each is applied."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from events.envelope import Event, Recorded
from events.topics import DEAD_LETTERS, POSITION_HEADER, REPLAY_HEADER, TOPICS, Lane

LANES = {topic.name: topic.lane for topic in (*TOPICS, *DEAD_LETTERS)}
PASSING = frozenset(topic.name for topic in (*TOPICS, *DEAD_LETTERS) if topic.retention_days is not None)


class Partition(NamedTuple):
    """A partition of a topic. Equal to the clients' own pairs of (topic, partition)."""

    topic: str
    partition: int

    @property
    def relayed(self) -> bool:
        """Whether its records carry the event log's positions, and may repeat."""
        return LANES[self.topic] is Lane.LOG

    @property
    def passes(self) -> bool:
        """Whether its records are kept for a time alone: nobody is promised its beginning."""
        return self.topic in PASSING


class Record(Protocol):
    """A Kafka record, as far as projections look at it."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Slab(NamedTuple):
    """Consecutive records of a partition. `start`: the offset that was asked for, which lies before the first
    record's where Kafka has nothing in between. `epoch`: the placement of the partition that it was read after.
    """

    partition: Partition
    start: int
    records: Sequence[Record]
    epoch: int = 0

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.records[-1].offset + 1

    @property
    def size(self) -> int:
        """Bytes of its records' bodies."""
        return sum(len(record.value or b"") for record in self.records)

    def halves(self) -> tuple["Slab", "Slab"]:
        """The slab as two; it has at least two records."""
        middle = len(self.records) // 2
        first = self._replace(records=self.records[:middle])
        return first, self._replace(start=first.end, records=self.records[middle:])


def runs(records: Sequence[Record], most: int, most_bytes: int) -> Iterator[Sequence[Record]]:
    """The records in runs of at most so many and so many bytes; one that is larger is alone."""
    begin = size = 0
    for place, record in enumerate(records):
        more = len(record.value or b"")
        if place > begin and (place - begin >= most or size + more > most_bytes):
            yield records[begin:place]
            begin, size = place, 0
        size += more
    yield records[begin:]


class Checkpoint(NamedTuple):
    """How far a partition is applied. `next_offset`: Kafka's offset of the first record that is not. `position`: the
    last applied place in the topic's own numbering, -1 for none.
    """

    next_offset: int
    position: int


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A record that the views are to take, decoded. `attempt`: of a dead letter the number of this retry; else 0."""

    partition: Partition
    record: Record
    recorded: Recorded[Event]
    attempt: int = 0


def is_replayed(record: Record) -> bool:
    """Whether it is no new fact: somebody sent what had happened once again, and marked it so."""
    for name, _ in record.headers:  # noqa: SIM110 - of every record: quicker than any()
        if name == REPLAY_HEADER:
            return True
    return False


def position_of(partition: Partition, record: Record) -> int:
    """The record's place in its topic's own numbering. Raises ValueError for a relayed record without one."""
    if not partition.relayed:
        return record.offset
    for name, value in record.headers:
        if name == POSITION_HEADER:
            return int(value)
    raise ValueError(f"a record of {partition.topic} lacks the header {POSITION_HEADER}")
