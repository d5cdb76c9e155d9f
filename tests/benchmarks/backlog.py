"""A backlog of playback on Kafka: whole evenings of many sessions, interleaved as they happen."""

from collections.abc import Iterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from events.envelope import CONTENT_TYPE, Envelope, Event, encode
from events.playback import BufferingEnded, BufferingStarted, Heartbeat, Paused, Resumed, Seeked, Started, Stopped
from events.topics import PLAYBACK
from infra.kafka import CLIENT_ID
from infra.settings import Settings
from tests import builders
from tests.benchmarks import players
from tests.benchmarks.bench import Advance

HEADERS = [("content-type", CONTENT_TYPE.encode())]
BATCH_BYTES = 256 * 1024
NOW_AND_THEN = {20: Paused, 21: Resumed, 40: BufferingStarted, 41: BufferingEnded}


def evenings(sessions: int, each: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and bodies: PlaybackStarted of every session, then its reports, all sessions in turn; `each` a session."""
    for number in range(sessions):
        of = players.session(number)
        yield of.profile_id.encode(), encode(builders.playback_started(of))
    for seq in range(each - 1):
        for number in range(sessions):
            yield players.session(number).profile_id.encode(), encode(_reported(number, seq, last=seq == each - 2))


def _reported(number: int, seq: int, *, last: bool) -> Envelope[Event]:
    of = players.session(number)
    if last:
        return builders.reported(Stopped, seq, of=of)
    if seq == 0:
        return builders.reported(Started, seq, of=of, startup_ms=700)
    if seq % 50 == 30:
        return builders.reported(Seeked, seq, of=of, from_ms=seq * 9_000)
    if kind := NOW_AND_THEN.get(seq % 50):
        return builders.reported(kind, seq, of=of)
    return builders.reported(Heartbeat, seq, of=of, **players.HEALTH)


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
