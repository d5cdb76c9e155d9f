"""A backlog of playback on Kafka: whole evenings of many sessions, interleaved as they happen."""

import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import TopicPartition
from msgspec import structs

from events.envelope import CONTENT_TYPE, Envelope, Event, encode
from events.playback import (
    BufferingEnded,
    BufferingStarted,
    Heartbeat,
    Paused,
    Resumed,
    Seeked,
    SessionSnapshot,
    Started,
    Stopped,
)
from events.topics import PLAYBACK
from infra.kafka import CLIENT_ID
from infra.settings import Settings
from tests import builders
from tests.benchmarks import players
from tests.benchmarks.bench import Advance

HEADERS = [("content-type", CONTENT_TYPE.encode())]
BATCH_BYTES = 256 * 1024
COHORT: Final = 2_000
"""Sessions that go on side by side."""
EACH: Final = 100
TEMPLATES: Final = 8
MARKED: Final = 0xFEEDFACEC000
"""The numbers that templates have in their ids, where a session's own is put."""
STRANGERS_FIRST: Final = 10_000
DAY_MARKED: Final = f"{builders.EVENING:%Y-%m-%dT%H}".encode()
NOW_AND_THEN = {20: Paused, 21: Resumed, 40: BufferingStarted, 41: BufferingEnded}


def evenings(sessions: int, each: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and bodies: PlaybackStarted of every session, then its reports, all sessions in turn; `each` a session."""
    for number in range(sessions):
        of = players.session(number)
        yield of.profile_id.encode(), encode(builders.playback_started(of))
    for seq in range(each - 1):
        for number in range(sessions):
            of = players.session(number)
            yield of.profile_id.encode(), encode(_reported(of, seq, last=seq == each - 2))


def _reported(of: SessionSnapshot, seq: int, *, last: bool) -> Envelope[Event]:
    if last:
        return builders.reported(Stopped, seq, of=of)
    if seq == 0:
        return builders.reported(Started, seq, of=of, startup_ms=700)
    if seq % 50 == 30:
        return builders.reported(Seeked, seq, of=of, from_ms=seq * 9_000)
    if kind := NOW_AND_THEN.get(seq % 50):
        return builders.reported(kind, seq, of=of)
    return builders.reported(Heartbeat, seq, of=of, **players.HEALTH)


def strangers(events: int, size: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """So many events of sessions that share nothing but eight titles: cohort after cohort, each on a day before
    the last one's, EACH events a session. Encoded once a title, so that they cost next to nothing. `size`: bytes of
    each, at least.
    """
    bodies = [_template(MARKED + place, size) for place in range(TEMPLATES)]
    return islice(_cohorts(bodies, 1 + events // EACH), events)


def _cohorts(templates: list[list[bytes]], sessions: int) -> Iterator[tuple[bytes, bytes]]:
    for first in range(0, sessions, COHORT):
        cohort = [_Stranger(templates, first + number) for number in range(COHORT)]
        for seq in range(EACH):
            for each in cohort:
                yield each.key, each.body(seq)


class _Stranger:
    def __init__(self, templates: list[list[bytes]], number: int) -> None:
        place = number % TEMPLATES
        self._bodies = templates[place]
        self._marked = f"{MARKED + place:012x}".encode()
        self._own = f"{STRANGERS_FIRST + number:012x}".encode()
        day = builders.EVENING - timedelta(days=number // COHORT, hours=number % 19)
        self._hour = f"{day:%Y-%m-%dT%H}".encode()
        self.key = players.session(MARKED + place).profile_id.encode().replace(self._marked, self._own)

    def body(self, seq: int) -> bytes:
        return self._bodies[seq].replace(self._marked, self._own).replace(DAY_MARKED, self._hour)


def _template(number: int, size: int) -> list[bytes]:
    """What a session comes to, as encoded. Larger ones have a title with a very long name."""
    of = players.session(number)
    if size:
        of = structs.replace(of, title=structs.replace(of.title, name=os.urandom(size // 2).hex()))
    started = encode(builders.playback_started(of))
    return [started, *(encode(_reported(of, seq, last=seq == EACH - 2)) for seq in range(EACH - 1))]


async def ends(settings: Settings, topics: list[str]) -> dict[TopicPartition, int]:
    """The offset after the last record of every partition of these topics."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=settings.kafka_bootstrap)
    await consumer.start()
    try:
        places = [
            TopicPartition(topic, each) for topic in topics for each in consumer.partitions_for_topic(topic) or ()
        ]
        found: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return found
    finally:
        await consumer.stop()


async def produce(settings: Settings, records: Iterator[tuple[bytes, bytes]], advance: Advance) -> None:
    """Put them on Kafka, in order."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        client_id=CLIENT_ID,
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=20,
        max_batch_size=BATCH_BYTES,
    )
    await producer.start()
    try:
        for key, body in records:
            await producer.send(PLAYBACK.name, body, key, headers=HEADERS)
            advance(1)
    finally:
        await producer.stop()


async def produce_batches(
    settings: Settings,
    records: Iterator[tuple[bytes, bytes]],
    advance: Advance,
    *,
    topic: str = PLAYBACK.name,
    batch_bytes: int = BATCH_BYTES,
) -> None:
    """Put them on Kafka, in order a partition, in batches of our own: a quarter of what produce() costs."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        client_id=CLIENT_ID,
        compression_type="lz4",
        max_batch_size=batch_bytes,
    )
    await producer.start()
    try:
        partitions, partitioned = sorted(await producer.partitions_for(topic)), DefaultPartitioner()
        places: dict[bytes, int] = {}
        filling = {each: producer.create_batch() for each in partitions}
        for key, body in records:
            if (place := places.get(key)) is None:
                place = places[key] = partitioned(key, partitions, partitions)
            if filling[place].append(key=key, value=body, timestamp=None, headers=HEADERS) is None:
                await producer.send_batch(filling[place], topic, partition=place)
                advance(filling[place].record_count())
                filling[place] = producer.create_batch()
                filling[place].append(key=key, value=body, timestamp=None, headers=HEADERS)
        for place, batch in filling.items():
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=place)
    finally:
        await producer.stop()
