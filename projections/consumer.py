"""The seam to Faust: its Kafka consumer, changed so that one Faust message is a slab of records, and so that nobody
but the store's checkpoint says where a partition goes on.

Faust 0.15.3 costs some 55 us a message, acknowledges what failed, commits one offset too far and drops what it thinks
it has read. Each override here takes one of these away; the classes of Faust and mode carry no types.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust import Schema
from faust.transport.drivers import aiokafka as driver

from infra.settings import Settings
from infra.telemetry import log
from projections.errors import StoreUnavailable
from projections.slabs import Partition, Slab, runs

FETCH_WAIT_MS = 100
"""How long Kafka holds a fetch without records: while it does, no other partition is asked for (Faust: 1500)."""
WAIT_FOR_ROOM_S = 0.005


class Intake(Protocol):
    """What the consumer asks of the projector: see Projector."""

    def assign(self, partitions: Collection[Partition]) -> None: ...
    def revoke(self) -> None: ...
    def wanted(self, partitions: Collection[Partition]) -> set[Partition]: ...


class SlabMessage:
    """Looks like one Kafka record to Faust; its value is a slab."""

    __slots__ = (
        "checksum",
        "headers",
        "key",
        "offset",
        "partition",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
        "value",
    )

    def __init__(self, slab: Slab, timestamp: int) -> None:
        self.topic, self.partition = slab.partition
        self.offset = slab.end - 1
        self.timestamp, self.timestamp_type = timestamp, 0
        self.headers: tuple[()] = ()
        self.key = self.checksum = None
        self.value = slab
        self.serialized_key_size = self.serialized_value_size = 0


class SlabThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that owns the aiokafka consumer. Slabs are cut here, where seeks happen as well: a slab's epoch and
    start are those of the seek that it was read after, whatever is still on its way to the engine.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._epochs: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        settings: Settings = self.app.settings
        consumer._fetch_max_bytes = settings.fetch_max_bytes  # Faust has no setting for these two
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self, consumer: AIOKafkaConsumer, active_partitions: Any, timeout: float | None = None, max_records: Any = None
    ) -> dict[TopicPartition, list[SlabMessage]]:
        """What has arrived, taken a slab's records at a time, so that it is known when it is enough in bytes."""
        settings: Settings = self.app.settings
        messages: dict[TopicPartition, list[SlabMessage]] = {}
        count = size = 0
        while count < settings.batch_max_records and size < settings.batch_max_bytes:
            step = min(settings.slab_max_records, settings.batch_max_records - count)
            fetched = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=step)
            if not fetched:
                break
            for place, records in fetched.items():
                slabs = self._slabs(Partition(*place), records)
                messages.setdefault(place, []).extend(slabs)
                count += len(records)
                size += sum(message.value.size for message in slabs)
            timeout = 0
        return messages

    def _slabs(self, partition: Partition, records: Sequence[Any]) -> list[SlabMessage]:
        settings: Settings = self.app.settings
        epoch, start = self._epochs.get(partition, 0), self._next.get(partition, records[0].offset)
        messages = []
        for run in runs(records, settings.slab_max_records, settings.slab_max_bytes):
            slab = Slab(partition, start, run, epoch)
            start = slab.end
            messages.append(SlabMessage(slab, records[0].timestamp))
        self._next[partition] = start
        return messages

    async def place(self, offsets: Mapping[Partition, int], epoch: int) -> None:
        """Seek the partitions that are still ours."""
        await self.call_thread(self._place, offsets, epoch)

    async def _place(self, offsets: Mapping[Partition, int], epoch: int) -> None:
        consumer = self._ensure_consumer()
        for partition, offset in offsets.items():
            place = TopicPartition(*partition)
            if place in consumer.assignment():
                consumer.seek(place, offset)
                self._epochs[partition], self._next[partition] = epoch, offset

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """The first and the next offset of each."""
        first, end = await self.call_thread(self._bounds, [TopicPartition(*each) for each in partitions])
        return {partition: (first[partition], end[partition]) for partition in partitions}

    async def _bounds(self, places: list[TopicPartition]) -> tuple[dict[Any, int], dict[Any, int]]:
        consumer = self._ensure_consumer()
        return await consumer.beginning_offsets(places), await consumer.end_offsets(places)

    async def answers(self) -> None:
        """Returns when Kafka has answered a question that needs no partition."""
        await self.call_thread(self._answers)

    async def _answers(self) -> None:
        await self._ensure_consumer()._client.fetch_all_metadata()

    async def mirror(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets of partitions that are still ours."""
        await self.call_thread(self._mirror, offsets)

    async def _mirror(self, offsets: Mapping[Partition, int]) -> None:
        consumer = self._ensure_consumer()
        ours = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "")
            for partition, offset in offsets.items()
            if TopicPartition(*partition) in consumer.assignment()
        }
        if ours and not self.app.rebalancing:
            await asyncio.wait_for(consumer.commit(ours), self.app.settings.query_timeout_s)


class Unread(dict[Any, Any]):
    """What Faust believes it has read of each partition: never anything, or it would drop what is read again."""

    def __getitem__(self, _: object) -> None:
        return None


class SlabConsumer(driver.Consumer):  # type: ignore[misc]
    """See Log, and SlabThread."""

    _thread: SlabThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = Unread()

    @property
    def _intake(self) -> Intake:
        intake: Intake = self.app.intake
        return intake

    def _new_consumer_thread(self) -> SlabThread:
        return SlabThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        wanted = self._intake.wanted([Partition(*each) for each in active_partitions])
        if not wanted:
            await asyncio.sleep(WAIT_FOR_ROOM_S)
            return {}
        return await super()._getmany(wanted, timeout)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self._intake.revoke()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:  # then Faust does not come to seek_to_committed()
            self._intake.assign(())

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """Faust asks for this at the end of each rebalance: the projector reads the checkpoints and places them."""
        self._intake.assign(self.assigned())
        return {}

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: the store's checkpoint is the truth, and mirror() copies it."""
        return False

    def ack(self, message: Any) -> bool:
        """Faust would keep each acknowledged offset for the commit that never comes."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Nothing: Faust would log that nothing is committed. Readiness says when there is lag without progress."""

    def assigned(self) -> set[Partition]:
        return {Partition(*each) for each in self._thread._ensure_consumer().assignment()}

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        try:
            return await self._thread.bounds(partitions)
        except (KafkaError, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"Kafka does not say where its partitions begin and end: {error!r}") from error

    async def place(self, offsets: Mapping[Partition, int], epoch: int) -> None:
        await self._thread.place(offsets, epoch)

    def highwater(self, partition: Partition) -> int | None:
        place = TopicPartition(*partition)
        consumer = self._thread._ensure_consumer()
        try:
            highwater: int | None = consumer.highwater(place) if place in consumer.assignment() else None
        except (IllegalStateError, AssertionError):  # revoked in between, in the other thread
            return None
        return highwater

    async def mirror(self, offsets: Mapping[Partition, int]) -> None:
        try:
            await self._thread.mirror(offsets)
        except (KafkaError, TimeoutError, OSError) as error:
            log.info("offsets not mirrored", error=repr(error))

    async def answers(self) -> None:
        """Returns when Kafka has answered. Raises StoreUnavailable."""
        try:
            await self._thread.answers()
        except (KafkaError, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"Kafka does not answer: {error!r}") from error


class SlabTransport(driver.Transport):  # type: ignore[misc]
    """Faust's way to make its consumer."""

    Consumer = SlabConsumer


class SlabSchema(Schema):  # type: ignore[misc]
    """No codec: the engine decodes."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value
