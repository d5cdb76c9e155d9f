"""What a rebuild reads: every partition of some topics, in no group, up to where it is told. What Kafka does not hold
any more comes from the archive, and then Kafka's own from the very next offset on.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from infra.kafka import CLIENT_ID, access
from infra.settings import Settings
from projections.past import Past, told
from projections.slabs import Partition, Slab, runs

READ_AHEAD: Final = 2
"""How many batches wait at most before no more is fetched."""


class Feed:
    """Reads partitions side by side. Use as a context; its methods raise KafkaError and StoreUnavailable.

    An offset that Kafka gave up meanwhile is a KafkaError (OffsetOutOfRange): after bounds() and seek() it comes from
    the archive.
    """

    def __init__(self, settings: Settings, topics: Collection[str], past: Past | None = None) -> None:
        self._settings = settings
        self._topics = topics
        self._past = past or Past(settings)
        self._waiting: dict[Partition, list[Any]] = {}
        self._next: dict[Partition, int] = {}
        self._in_kafka: dict[Partition, int] = {}
        self._readable: dict[Partition, int] = {}
        self._archived: set[Partition] = set()
        self._consumer = AIOKafkaConsumer(
            **access(settings),
            client_id=f"{CLIENT_ID}-rebuild",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_bytes=settings.rebuild_fetch_max_bytes,
            max_partition_fetch_bytes=settings.rebuild_fetch_max_bytes,
            fetch_max_wait_ms=50,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            cluster = await self._consumer._client.fetch_all_metadata()
        except BaseException:
            await self._consumer.stop()
            raise
        self.partitions = [
            Partition(topic, number)
            for topic in self._topics
            for number in sorted(cluster.partitions_for_topic(topic) or ())
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._past.close()
        await self._consumer.stop()

    async def bounds(self) -> dict[Partition, tuple[int, int]]:
        """The first offset from which on each partition can be read, and the one after its last record."""
        places = [TopicPartition(*each) for each in self.partitions]
        first, end = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        self._in_kafka = {each: first[each] for each in self.partitions}
        self._readable = {each: await self._past.readable_from(each, first[each]) for each in self.partitions}
        return {each: (self._readable[each], end[each]) for each in self.partitions}

    async def lacks(self, starts: Mapping[Partition, int]) -> str | None:
        """After bounds(): what to say of the first partition of which nobody has all from there on; None: all have."""
        for partition, start in starts.items():
            if gone := await self._past.lacks(partition, start, self._in_kafka[partition]):
                return told(partition, gone)
        return None

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """After bounds(): go on there; at first with all partitions. What nobody has is passed over: see lacks()."""
        if not self._next:
            self._consumer.assign([TopicPartition(*each) for each in self.partitions])
        for partition, offset in offsets.items():
            self._next[partition], self._waiting[partition] = offset, []
            self._seek(partition, offset)

    def _seek(self, partition: Partition, offset: int) -> None:
        place, first = TopicPartition(*partition), self._in_kafka[partition]
        self._consumer.seek(place, max(offset, first))
        if self._readable[partition] <= offset < first:
            self._archived.add(partition)
            self._consumer.pause(place)
        else:
            self._archived.discard(partition)
            self._consumer.resume(place)

    async def take(self, limits: Mapping[Partition, int], most: int, wait_s: float) -> list[Slab]:
        """Slabs of at most so many records, and settings.rebuild_batch_max_bytes, that end before these offsets,
        waiting for some if there are to be any.
        """
        if not (slabs := self._cut(limits, most)):
            wanted = [each for each, limit in limits.items() if limit > self._next[each]]
            await self._fetch(wanted, most, wait_s if wanted else 0)
            slabs = self._cut(limits, most)
        elif self._has_room(most):
            await self._fetch([], most, 0)
        return slabs

    def _has_room(self, most: int) -> bool:
        if sum(map(len, self._waiting.values())) >= READ_AHEAD * most:
            return False
        return sum(map(_size, self._waiting.values())) < READ_AHEAD * self._settings.rebuild_batch_max_bytes

    async def _fetch(self, wanted: Sequence[Partition], most: int, wait_s: float) -> None:
        if archived := [each for each in wanted if each in self._archived]:
            await self._fetch_archived(archived, most)
            return
        room = [each for each in self.partitions if len(self._waiting[each]) < most and each not in self._archived]
        places = [TopicPartition(*each) for each in wanted or room]
        count = size = 0
        while places and count < most and size < self._settings.rebuild_batch_max_bytes:
            step = min(self._settings.slab_max_records, most - count)
            fetched = await self._consumer.getmany(*places, timeout_ms=int(1000 * wait_s), max_records=step)
            if not fetched:
                return
            for place, records in fetched.items():
                self._waiting[Partition(*place)] += records
                count, size = count + len(records), size + _size(records)
            wait_s = 0

    async def _fetch_archived(self, wanted: Sequence[Partition], most: int) -> None:
        """A share of each of these from the archive; whoever is through goes on in Kafka."""
        share, share_bytes = (max(whole // len(wanted), 1) for whole in (most, self._settings.rebuild_batch_max_bytes))
        for partition in wanted:
            first = self._in_kafka[partition]
            slab = await self._past.take(partition, self._next[partition], first, share, share_bytes)
            self._waiting[partition] += slab.records
            if slab.end == first:
                self._seek(partition, first)

    def _cut(self, limits: Mapping[Partition, int], most: int) -> list[Slab]:
        slabs = []
        most_bytes = self._settings.rebuild_batch_max_bytes
        for partition, records in self._waiting.items():
            count = min(bisect_left(records, limits.get(partition, 0), key=_offset), most)
            if count and most_bytes > 0:
                slab = Slab(partition, self._next[partition], next(runs(records[:count], count, most_bytes)))
                slabs.append(slab)
                self._next[partition], self._waiting[partition] = slab.end, records[len(slab.records) :]
                most -= len(slab.records)
                most_bytes -= slab.size
        return slabs


def _offset(record: Any) -> int:
    offset: int = record.offset
    return offset


def _size(records: Sequence[Any]) -> int:
    """Bytes of their bodies."""
    return sum(len(record.value or b"") for record in records)
