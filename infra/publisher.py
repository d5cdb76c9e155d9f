"""The publish lane's way to Kafka: events that are acknowledged by all in-sync replicas, or refused, never silently
lost.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from events.refusals import Refusal
from infra.batches import Lanes
from infra.kafka import new_producer
from infra.positions import Position
from infra.settings import Settings
from infra.telemetry import log

PUBLISHED = Counter("playhead_events_published_total", "Events that Kafka acknowledged", ["topic"])
UNPUBLISHED = Counter("playhead_events_unpublished_total", "Events refused because Kafka did not take them", ["topic"])
INFLIGHT = Gauge("playhead_publish_inflight_bytes", "Taken from players, not yet acknowledged by Kafka")


class KafkaUnavailable(Refusal):
    """Kafka did not take the events in time; the sender keeps them and sends them again."""


class Publisher:
    """Produces events. Bounded: past produce_inflight_max_bytes it refuses before it takes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lanes: Lanes | None = None
        self._inflight_bytes = 0
        self._connecting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; publish() refuses until Kafka answers."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Send what was taken, and leave."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._lanes is not None:
            await self._lanes.drain(self._settings.produce_timeout_s)
        if self._producer is not None:
            await self._producer.stop()

    @property
    def ready(self) -> bool:
        """Whether Kafka answered and the producer lives."""
        return self._producer is not None and not self._dead(self._producer)

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        """Produce events of one key in order; the position of the last once all are acknowledged. Raises
        KafkaUnavailable.

        A refused event may still arrive later, when Kafka took it and its reply was lost: ids make that harmless.
        """
        size = sum(map(len, bodies))
        lanes = self._alive(size)
        self._inflight_bytes += size
        INFLIGHT.set(self._inflight_bytes)
        try:
            async with asyncio.timeout(self._settings.produce_timeout_s):
                partition, lane = await lanes.lane(topic, key.encode())
                offset = await lane.send(key.encode(), bodies)
        except (TimeoutError, KafkaError) as error:
            UNPUBLISHED.labels(topic).inc(len(bodies))
            raise self._unavailable(type(error).__name__) from error
        finally:
            self._inflight_bytes -= size
        PUBLISHED.labels(topic).inc(len(bodies))
        return Position(topic, partition, offset)

    def _alive(self, size: int) -> Lanes:
        if self._producer is not None and self._dead(self._producer):
            log.warning("producer_dead")
            self._producer = self._lanes = None
            self._connecting = asyncio.create_task(self._connect())
        if self._lanes is None:
            raise self._unavailable("not connected")
        if self._inflight_bytes + size > self._settings.produce_inflight_max_bytes:
            raise self._unavailable("too much is waiting for Kafka")
        return self._lanes

    @staticmethod
    def _dead(producer: AIOKafkaProducer) -> bool:
        # A producer whose sender task ended (a fatal sequence error, an epoch taken over) never sends again.
        task = producer._sender.sender_task
        return bool(producer._closed or (task is not None and task.done()))

    async def _connect(self) -> None:
        longest = self._settings.store_retry_max_s
        async for attempt in AsyncRetrying(
            wait=wait_exponential(multiplier=0.1, max=longest), retry=retry_if_exception_type((KafkaError, OSError))
        ):
            with attempt:
                producer = new_producer(self._settings)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer, self._lanes = producer, Lanes(producer, self._settings.produce_linger_ms)

    def _unavailable(self, reason: str) -> KafkaUnavailable:
        return KafkaUnavailable(
            f"Kafka did not take the events ({reason}); none is known to be recorded: send them again",
            headers={"Retry-After": str(self._settings.retry_after_s)},
        )
