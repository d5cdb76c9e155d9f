"""The one producer of a process: connected, listened to, and made anew when it is dead or Kafka forgets it."""

import asyncio
import contextlib
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from infra.batches import NEVER, Lanes
from infra.kafka import abandon, new_producer
from infra.settings import Settings
from infra.telemetry import log

REPLACED = Counter("playhead_producers_replaced_total", "Producers that were given up, and made anew")
NOT_CONNECTED: Final = "not connected"
LOOK_INTERVAL_S: Final = 0.2
ASK_INTERVAL_S: Final = 1.0
"""How often Kafka is asked whether it is there, while nothing else tells."""


class KafkaLink:
    """The link. `lanes`: the ways to Kafka while there is a producer that lives. `trouble`: why nothing is to be sent,
    as of a moment ago: there is no producer, or Kafka owes an answer for produce_silent_s.

    A failed batch ends its producer: an idempotent one counts its records, and Kafka refuses all that follows a gap.
    One that waits for Kafka tries for ever, and is given up after produce_given_up_after_s all the same.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_s = -NEVER
        self._unanswered_s = NEVER
        self.lanes: Lanes | None = None
        self.trouble: str | None = NOT_CONNECTED

    async def start(self) -> None:
        """Begin to connect."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Send what was taken, as far as Kafka takes it in produce_timeout_s, and leave."""
        for task in (self._keeping, self._asking):
            if task is not None:
                task.cancel()
        within_s = self._settings.produce_timeout_s
        if self.lanes is not None:
            await self.lanes.drain(within_s)
        if self._producer is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._producer.stop()
                    return
            await _abandoned(self._producer, within_s)

    def _silent_s(self, lanes: Lanes) -> float:
        """How long Kafka has owed an answer; while a batch is on its way, only taking one is an answer."""
        now_s = asyncio.get_running_loop().time()
        if lanes.sent_s < NEVER:
            return now_s - max(lanes.sent_s, lanes.acknowledged_s)
        return max(0.0, now_s - self._unanswered_s) if lanes.acknowledged_s < self._asked_s else 0.0

    async def _keep(self) -> None:
        while True:
            producer, lanes = await self._connected()
            self._producer, self.lanes, self.trouble = producer, lanes, None
            why = await self._until_dead(producer, lanes)
            log.warning("producer_replaced", reason=why)
            REPLACED.inc()
            self._producer, self.lanes, self.trouble = None, None, NOT_CONNECTED
            lanes.give_up(KafkaError(why))
            await _abandoned(producer, self._settings.produce_timeout_s)

    async def _connected(self) -> tuple[AIOKafkaProducer, Lanes]:
        longest_s = self._settings.store_retry_max_s
        async for attempt in AsyncRetrying(
            wait=wait_exponential(multiplier=0.1, max=longest_s), retry=retry_if_exception_type((KafkaError, OSError))
        ):
            with attempt:
                producer = new_producer(self._settings)
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
        self._unanswered_s = NEVER
        return producer, Lanes(producer, self._settings.produce_linger_ms)

    async def _until_dead(self, producer: AIOKafkaProducer, lanes: Lanes) -> str:
        """Listen to Kafka for as long as the producer lives; why it does not."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await lanes.failed.wait()
            if lanes.failed.is_set():
                return "Kafka refused a batch"
            if _has_ended(producer):
                return "its sender ended"
            silent_s = self._silent_s(lanes)
            self.trouble = f"silent for {silent_s:.1f} s" if silent_s > self._settings.produce_silent_s else None
            if silent_s > self._settings.produce_given_up_after_s:
                return "Kafka did not answer"
            self._ask(producer, lanes)

    def _ask(self, producer: AIOKafkaProducer, lanes: Lanes) -> None:
        """Ask Kafka whether it is there, unless something else has told just now."""
        now_s = asyncio.get_running_loop().time()
        is_due = now_s - max(lanes.acknowledged_s, self._asked_s) >= ASK_INTERVAL_S
        if is_due and (self._asking is None or self._asking.done()):
            self._asked_s = now_s
            self._unanswered_s = min(self._unanswered_s, now_s)
            self._asking = asyncio.create_task(self._hear(producer))

    async def _hear(self, producer: AIOKafkaProducer) -> None:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await producer.client.fetch_all_metadata()
            self._unanswered_s = NEVER


def _has_ended(producer: AIOKafkaProducer) -> bool:
    # A producer whose sender task ended (a fatal sequence error, an epoch taken over) never sends again.
    task = producer._sender.sender_task
    return bool(producer._closed or (task is not None and task.done()))


async def _abandoned(producer: AIOKafkaProducer, within_s: float) -> None:
    with contextlib.suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(within_s):
            await abandon(producer)
