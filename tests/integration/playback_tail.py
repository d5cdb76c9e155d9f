"""What the playback topic gained since a test began to look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from events.envelope import Event, Recorded
from events.registry import REGISTRY
from events.topics import PLAYBACK
from infra.settings import Settings


class Tail:
    """The end of the topic."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._seen: list[Recorded[Event]] = []

    async def of(self, session_id: str) -> list[Recorded[Event]]:
        """The events of a session, in the topic's order."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                self._seen += [REGISTRY.decode(record.value) for record in records]
        return [event for event in self._seen if event.envelope.subject == session_id]


@asynccontextmanager
async def tail_of_playback(settings: Settings) -> AsyncIterator[Tail]:
    """From now on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(PLAYBACK.name, number) for number in range(settings.playback_partitions)])
        await consumer.seek_to_end()
        yield Tail(consumer)
    finally:
        await consumer.stop()
