"""Batches on the way to Kafka: order, bounds, and who is told what. The producer here is a Kafka that obeys."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import KafkaError, NotEnoughReplicasError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import RecordMetadata, TopicPartition

from infra.batches import NEVER, Lane, Lanes, Part, hash_of

PLACE = TopicPartition("playback.events", 3)
BATCH_BYTES = 1_000


@dataclass
class ObedientKafka:
    """Takes batches one after the other, once `open`; fails them with `failure` if that is set, and all but the first
    `refuse_after`, if that is.
    """

    open: asyncio.Event = field(default_factory=asyncio.Event)
    failure: KafkaError | None = None
    refuse_after: int | None = None
    bodies: list[bytes] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, 0)

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(8))

    async def send_batch(
        self, builder: BatchBuilder, topic: str, *, partition: int
    ) -> "asyncio.Future[RecordMetadata]":
        return asyncio.ensure_future(self._take(builder, topic, partition))

    async def _take(self, builder: BatchBuilder, topic: str, partition: int) -> RecordMetadata:
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        if self.refuse_after is not None and len(self.batches) >= self.refuse_after:
            raise NotEnoughReplicasError
        offset = len(self.bodies)
        self.bodies += [record.value for record in DefaultRecordBatch(builder._build())]
        self.batches.append(len(self.bodies) - offset)
        return RecordMetadata(topic, partition, TopicPartition(topic, partition), offset, -1, 0, 0)


@pytest.fixture
def kafka() -> ObedientKafka:
    kafka = ObedientKafka()
    kafka.open.set()
    return kafka


@pytest.fixture
def lane(kafka: ObedientKafka) -> Lane:
    return Lane(kafka, PLACE, linger_ms=1)


async def test_what_comes_within_the_linger_goes_as_one_batch(kafka: ObedientKafka, lane: Lane) -> None:
    offsets = await asyncio.gather(*(lane.send(b"key", [b"%d" % number]) for number in range(5)))
    assert kafka.batches == [5]
    assert [kafka.bodies[offset] for offset in offsets] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_report_larger_than_a_batch_stays_in_order(kafka: ObedientKafka, lane: Lane) -> None:
    bodies = [b"%d" % number * 300 for number in range(10)]
    assert await lane.send(b"key", bodies) == 9
    assert kafka.bodies == bodies
    assert len(kafka.batches) > 3


async def test_an_event_larger_than_a_batch_is_sent(kafka: ObedientKafka, lane: Lane) -> None:
    assert await lane.send(b"key", [b"x", b"y" * 40 * BATCH_BYTES, b"z"]) == 2
    assert [len(body) for body in kafka.bodies] == [1, 40 * BATCH_BYTES, 1]


async def test_while_kafka_does_not_answer_no_more_than_two_batches_are_held(kafka: ObedientKafka, lane: Lane) -> None:
    kafka.open.clear()
    sending = [asyncio.create_task(lane.send(b"key", [b"x" * 300])) for _ in range(50)]
    await asyncio.sleep(0.05)
    for task in sending:  # their patience ends
        task.cancel()
    await asyncio.wait(sending)
    kafka.open.set()
    await lane.drain()
    assert len(kafka.batches) == 2


async def test_everyone_in_a_refused_batch_is_told(kafka: ObedientKafka, lane: Lane) -> None:
    kafka.failure = NotEnoughReplicasError()
    told = await asyncio.gather(*(lane.send(b"key", [b"x"]) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in told] == [NotEnoughReplicasError] * 3
    kafka.failure = None
    assert await lane.send(b"key", [b"y"]) == 0


async def test_a_request_that_left_does_not_spoil_its_batch(kafka: ObedientKafka, lane: Lane) -> None:
    leaving, staying = (asyncio.create_task(lane.send(b"key", [body])) for body in (b"leaving", b"staying"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 1
    assert kafka.bodies == [b"leaving", b"staying"]


async def test_keys_go_where_every_client_of_kafka_sends_them(kafka: ObedientKafka) -> None:
    everywhere = list(range(8))
    for number in range(200):
        key = b"profile-%d" % number
        assert hash_of(key) % 8 == DefaultPartitioner()(key, everywhere, everywhere)
        partition, _ = await Lanes(kafka, linger_ms=1).lane(PLACE.topic, key)
        assert partition == hash_of(key) % 8


async def test_while_a_long_report_waits_for_room_a_short_one_finds_some(kafka: ObedientKafka, lane: Lane) -> None:
    kafka.open.clear()
    long = asyncio.create_task(lane.send(b"hot", [b"x" * 300] * 40))
    await asyncio.sleep(0.02)
    short = asyncio.create_task(lane.send(b"cold", [b"short"]))
    await asyncio.sleep(0)
    kafka.open.set()
    await asyncio.gather(long, short)
    assert kafka.bodies.index(b"short") <= 3 * kafka.batches[0]


async def test_what_kafka_took_of_a_report_is_known_when_it_refuses_the_rest(kafka: ObedientKafka, lane: Lane) -> None:
    parts: list[Part] = []
    kafka.refuse_after = 1
    with pytest.raises(NotEnoughReplicasError):
        await lane.send(b"key", [b"x" * 300] * 5, parts)
    assert [(part.count, part.offset_known()) for part in parts] == [(2, 1), (2, None), (1, None)]


async def test_who_waits_when_a_lane_is_given_up_is_told(kafka: ObedientKafka, lane: Lane) -> None:
    kafka.open.clear()
    sending = [asyncio.create_task(lane.send(b"key", [b"x" * 300])) for _ in range(10)]
    await asyncio.sleep(0.02)
    lane.give_up(KafkaError("given up"))
    told = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(each) for each in told] == [KafkaError] * 10
    with pytest.raises(KafkaError):
        await lane.send(b"key", [b"too late"])


async def test_a_lane_tells_since_when_it_waits(kafka: ObedientKafka, lane: Lane) -> None:
    kafka.open.clear()
    sending = asyncio.create_task(lane.send(b"key", [b"x"]))
    await asyncio.sleep(0.02)
    assert lane.sent_s <= asyncio.get_running_loop().time()
    assert lane.acknowledged_s < lane.sent_s
    kafka.open.set()
    await sending
    assert lane.sent_s == NEVER
    assert lane.acknowledged_s > 0
