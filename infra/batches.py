"""Batches of events on their way to Kafka: what many requests publish to a partition within the linger goes as one.

aiokafka's send() looks for the partition of every event anew and makes a future and a reply for it, which costs more
than the rest of a report; here a request waits for one future a batch.
"""

import asyncio
import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from events.envelope import CONTENT_TYPE

HEADERS = [("content-type", CONTENT_TYPE.encode())]
KEYS_REMEMBERED = 65_536
NEVER: Final = math.inf


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

    async def send(self, producer: AIOKafkaProducer, place: TopicPartition) -> bool:
        """Have Kafka acknowledge it, and tell those who wait; whether it did."""
        self._builder.close()
        try:
            sent = await producer.send_batch(self._builder, place.topic, partition=place.partition)
            record: RecordMetadata = await sent
        except KafkaError as error:
            self.fail(error)
            return False
        for waiting in self._unresolved():
            waiting.set_result(record.offset)
        return True

    def fail(self, error: KafkaError) -> None:
        """Tell those who wait that Kafka did not take it."""
        for waiting in self._unresolved():
            waiting.set_exception(copy.copy(error))  # else one traceback would grow with every request
            waiting.exception()  # seen: its request may be gone

    async def linger(self, linger_s: float) -> None:
        """Wait until the batch has been open for so long, or is full."""
        loop = asyncio.get_running_loop()
        timer = loop.call_at(self._opened_s + linger_s, self._due.set)
        await self._due.wait()
        timer.cancel()

    def _unresolved(self) -> list[asyncio.Future[int]]:
        return [waiting for waiting in self._waiting if not waiting.done()]


class Part:
    """Those of a request's events that went into one batch: how many, and the number of the last in the batch."""

    __slots__ = ("_acknowledged", "batch", "count", "last")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.count = 0
        self.last = 0
        self._acknowledged = batch.acknowledged()

    async def offset(self) -> int:
        """The offset of the last of them, once Kafka has them. Raises KafkaError."""
        return await self._acknowledged + self.last

    def offset_known(self) -> int | None:
        """The same, of a part that Kafka is known to have."""
        known = self._acknowledged
        if not known.done() or known.cancelled() or known.exception() is not None:
            return None
        return known.result() + self.last


class Lane:
    """The way to one partition, in order: one batch fills while the one before it is on its way. There are never more:
    who finds the open one full waits, and who was in it already lets others into the next one first.

    `acknowledged_s` and `sent_s`: by the loop's clock, when Kafka last took a batch, and when the one that is on its
    way set out. `failed`: set when a batch was refused, after which the producer's sequence numbers have a gap.
    """

    def __init__(
        self, producer: AIOKafkaProducer, place: TopicPartition, linger_ms: int, failed: asyncio.Event | None = None
    ) -> None:
        self._producer = producer
        self._place = place
        self._linger_s = linger_ms / 1000
        self._failed = failed or asyncio.Event()
        self._open: Batch | None = None
        self._under_way: Batch | None = None
        self._taken = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._given_up: KafkaError | None = None
        self.sent_s = NEVER
        self.acknowledged_s = -NEVER

    async def send(self, key: bytes, bodies: Sequence[bytes], parts: list[Part] | None = None) -> int:
        """Send events in order; the offset of the last, once all are acknowledged. Raises KafkaError; `parts` then say
        which are acknowledged all the same.
        """
        parts = [] if parts is None else parts
        part: Part | None = None
        for body in bodies:
            while (number := (batch := self._filling()).append(key, body)) is None:
                await self._turn(is_first=part is None)
            if part is None or part.batch is not batch:
                part = Part(batch)
                parts.append(part)
            part.count += 1
            part.last = number
        return [await part.offset() for part in parts][-1]

    async def drain(self) -> None:
        """Until all that was taken is sent."""
        if self._sending is not None:
            await self._sending

    def give_up(self, error: KafkaError) -> None:
        """Send nothing more; who waits is told."""
        self._given_up = error
        if self._sending is not None:
            self._sending.cancel()
        for batch in (self._under_way, self._open):
            if batch is not None:
                batch.fail(error)
        self._taken.set()

    async def _turn(self, *, is_first: bool) -> None:
        await self._taken.wait()
        if not is_first:
            await asyncio.sleep(0)

    def _filling(self) -> Batch:
        if self._given_up is not None:
            raise copy.copy(self._given_up)
        if self._open is None:
            self._open = Batch(self._producer.create_batch())
            self._taken.clear()
            if self._sending is None or self._sending.done():
                self._sending = asyncio.create_task(self._send_all())
        return self._open

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        while (batch := self._open) is not None:
            await batch.linger(self._linger_s)
            self._open, self._under_way = None, batch
            self._taken.set()
            self.sent_s = loop.time()
            is_taken = await batch.send(self._producer, self._place)
            self._under_way, self.sent_s = None, NEVER
            if is_taken:
                self.acknowledged_s = loop.time()
            else:
                self._failed.set()


class Lanes:
    """The lanes of one producer. `failed`: Kafka refused a batch."""

    def __init__(self, producer: AIOKafkaProducer, linger_ms: int) -> None:
        self._producer = producer
        self._linger_ms = linger_ms
        self._lanes: dict[TopicPartition, Lane] = {}
        self.failed = asyncio.Event()

    async def lane(self, topic: str, key: bytes) -> tuple[int, Lane]:
        """The partition of a key, chosen as every Kafka client does, and the lane to it. Raises KafkaError."""
        partition = hash_of(key) % len(await self._producer.partitions_for(topic))
        place = TopicPartition(topic, partition)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(self._producer, place, self._linger_ms, self.failed)
        return partition, lane

    @property
    def acknowledged_s(self) -> float:
        """When Kafka last took a batch, by the loop's clock."""
        return max((lane.acknowledged_s for lane in self._lanes.values()), default=-NEVER)

    @property
    def sent_s(self) -> float:
        """When the oldest batch set out that is still on its way; NEVER when none is."""
        return min((lane.sent_s for lane in self._lanes.values()), default=NEVER)

    def give_up(self, error: KafkaError) -> None:
        """Send nothing more; who waits is told."""
        for lane in self._lanes.values():
            lane.give_up(error)

    async def drain(self, within_s: float) -> None:
        """Send what was taken, as far as Kafka takes it in this time."""
        draining = [asyncio.create_task(lane.drain()) for lane in self._lanes.values()]
        if draining:
            _, late = await asyncio.wait(draining, timeout=within_s)
            for task in late:
                task.cancel()
