"""Batches of events on their way to Kafka: what many requests publish to a partition within the linger goes as one.

aiokafka's send() looks for the partition of every event anew and makes a future and a reply for it, which costs more
than the rest of a report; here a request waits for one future a batch.
"""

import asyncio
import copy
from collections.abc import Sequence
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from events.envelope import CONTENT_TYPE

HEADERS = [("content-type", CONTENT_TYPE.encode())]
KEYS_REMEMBERED = 65_536


@lru_cache(maxsize=KEYS_REMEMBERED)
def hash_of(key: bytes) -> int:
    """What Kafka's clients choose a key's partition by: this, modulo the number of partitions."""
    return int(murmur2(key)) & 0x7FFFFFFF


class Batch:
    """Events of one partition, and the requests that wait for them."""

    def __init__(self, builder: BatchBuilder) -> None:
        self._builder = builder
        self._waiting: list[asyncio.Future[int]] = []
        self._opened_s = asyncio.get_running_loop().time()
        self._due = asyncio.Event()

    def append(self, key: bytes, body: bytes) -> int | None:
        """Add an event; its number in the batch, or None when there is no room (the first finds room, however long)."""
        record = self._builder.append(timestamp=None, key=key, value=body, headers=HEADERS)
        if record is None:
            self._due.set()
            return None
        return int(record.offset)

    def acknowledged(self) -> asyncio.Future[int]:
        """The offset of the batch's first event, once Kafka has all of it. Raises KafkaError."""
        waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return waiting

    async def send(self, producer: AIOKafkaProducer, place: TopicPartition) -> None:
        """Have Kafka acknowledge it, and tell those who wait."""
        self._builder.close()
        try:
            sent = await producer.send_batch(self._builder, place.topic, partition=place.partition)
            record: RecordMetadata = await sent
        except KafkaError as error:
            for waiting in self._unresolved():
                waiting.set_exception(copy.copy(error))  # else one traceback would grow with every request
                waiting.exception()  # seen: its request may be gone
        else:
            for waiting in self._unresolved():
                waiting.set_result(record.offset)

    async def linger(self, linger_s: float) -> None:
        """Wait until the batch has been open for so long, or is full."""
        loop = asyncio.get_running_loop()
        timer = loop.call_at(self._opened_s + linger_s, self._due.set)
        await self._due.wait()
        timer.cancel()

    def _unresolved(self) -> list[asyncio.Future[int]]:
        return [waiting for waiting in self._waiting if not waiting.done()]


class Lane:
    """The way to one partition, in order: one batch fills while the one before it is on its way. There are never more:
    who finds the open one full waits.
    """

    def __init__(self, producer: AIOKafkaProducer, place: TopicPartition, linger_ms: int) -> None:
        self._producer = producer
        self._place = place
        self._linger_s = linger_ms / 1000
        self._open: Batch | None = None
        self._taken = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def send(self, key: bytes, bodies: Sequence[bytes]) -> int:
        """Send events in order; the offset of the last, once all are acknowledged. Raises KafkaError."""
        last: Batch | None = None
        pending: list[asyncio.Future[int]] = []
        number = 0
        for body in bodies:
            while (appended := (batch := self._filling()).append(key, body)) is None:
                await self._taken.wait()
            number = appended
            if batch is not last:
                pending.append(batch.acknowledged())
                last = batch
        offsets = [await acknowledged for acknowledged in pending]
        return offsets[-1] + number

    async def drain(self) -> None:
        """Until all that was taken is sent."""
        if self._sending is not None:
            await self._sending

    def _filling(self) -> Batch:
        if self._open is None:
            self._open = Batch(self._producer.create_batch())
            self._taken.clear()
            if self._sending is None or self._sending.done():
                self._sending = asyncio.create_task(self._send_all())
        return self._open

    async def _send_all(self) -> None:
        while (batch := self._open) is not None:
            await batch.linger(self._linger_s)
            self._open = None
            self._taken.set()
            await batch.send(self._producer, self._place)


class Lanes:
    """The lanes of one producer."""

    def __init__(self, producer: AIOKafkaProducer, linger_ms: int) -> None:
        self._producer = producer
        self._linger_ms = linger_ms
        self._lanes: dict[TopicPartition, Lane] = {}

    async def lane(self, topic: str, key: bytes) -> tuple[int, Lane]:
        """The partition of a key, chosen as every Kafka client does, and the lane to it. Raises KafkaError."""
        partition = hash_of(key) % len(await self._producer.partitions_for(topic))
        place = TopicPartition(topic, partition)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(self._producer, place, self._linger_ms)
        return partition, lane

    async def drain(self, within_s: float) -> None:
        """Send what was taken, as far as Kafka takes it in this time."""
        draining = [asyncio.create_task(lane.drain()) for lane in self._lanes.values()]
        if draining:
            _, late = await asyncio.wait(draining, timeout=within_s)
            for task in late:
                task.cancel()
