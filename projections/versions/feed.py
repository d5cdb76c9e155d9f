"""What a rebuild reads: every partition of some topics, in no group, up to where it is told."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from infra.kafka import CLIENT_ID, access
from infra.settings import Settings
from projections.slabs import Partition, Slab

READ_AHEAD: Final = 2
"""How many batches wait at most before no more is fetched."""


class Feed:
    """Reads partitions side by side. Use as a context; its methods raise KafkaError."""

    def __init__(self, settings: Settings, topics: Collection[str]) -> None:
        self._settings = settings
        self._topics = topics
        self._waiting: dict[Partition, list[Any]] = {}
        self._next: dict[Partition, int] = {}
        self._consumer = AIOKafkaConsumer(
            **access(settings),
            client_id=f"{CLIENT_ID}-rebuild",
            enable_auto_commit=False,
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
        self._consumer.assign([TopicPartition(*each) for each in self.partitions])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def bounds(self) -> dict[Partition, tuple[int, int]]:
        """The first offset that Kafka holds of each partition, and the one after its last record."""
        places = [TopicPartition(*each) for each in self.partitions]
        first, end = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        return {each: (first[each], end[each]) for each in self.partitions}

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Go on there."""
        for partition, offset in offsets.items():
            self._consumer.seek(TopicPartition(*partition), offset)
            self._next[partition], self._waiting[partition] = offset, []

    async def take(self, limits: Mapping[Partition, int], most: int, wait_s: float) -> list[Slab]:
        """Slabs of at most so many records that end before these offsets, waiting for some if there are to be any."""
        if not (slabs := self._cut(limits, most)):
            wanted = [each for each, limit in limits.items() if limit > self._next[each]]
            await self._fetch(wanted, most, wait_s if wanted else 0)
            slabs = self._cut(limits, most)
        elif sum(map(len, self._waiting.values())) < READ_AHEAD * most:
            await self._fetch([], most, 0)
        return slabs

    async def _fetch(self, wanted: Sequence[Partition], most: int, wait_s: float) -> None:
        room = [each for each in self.partitions if len(self._waiting[each]) < most]
        places = [TopicPartition(*each) for each in wanted or room]
        if places:
            fetched = await self._consumer.getmany(*places, timeout_ms=int(1000 * wait_s), max_records=most)
            for place, records in fetched.items():
                self._waiting[Partition(*place)] += records

    def _cut(self, limits: Mapping[Partition, int], most: int) -> list[Slab]:
        slabs = []
        for partition, records in self._waiting.items():
            count = min(bisect_left(records, limits.get(partition, 0), key=_offset), most)
            if count:
                slab = Slab(partition, self._next[partition], records[:count])
                slabs.append(slab)
                self._next[partition], self._waiting[partition] = slab.end, records[count:]
                most -= count
        return slabs


def _offset(record: Any) -> int:
    offset: int = record.offset
    return offset
