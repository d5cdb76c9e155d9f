"""The publish lane's way to Kafka: events that are acknowledged by all in-sync replicas, or refused, never silently
lost.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache

from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge

from events.refusals import Refusal
from infra.batches import Lane, Lanes, Part
from infra.http.deadlines import Deadlines, Limit
from infra.kafka_link import NOT_CONNECTED, KafkaLink
from infra.positions import Position
from infra.settings import Settings

PUBLISHED = Counter("playhead_events_published_total", "Events that Kafka acknowledged", ["topic"])
UNPUBLISHED = Counter("playhead_events_unpublished_total", "Events refused because Kafka did not take them", ["topic"])
INFLIGHT = Gauge("playhead_publish_inflight_bytes", "Taken from players, not yet acknowledged by Kafka")


@lru_cache
def _published(topic: str) -> Counter:
    return PUBLISHED.labels(topic)


class Unpublished(Refusal):
    """Events that the sender keeps, and sends again."""


class KafkaUnavailable(Unpublished):
    """Kafka did not take the events in time; the sender keeps them and sends them again."""


class PartlyPublished(KafkaUnavailable):
    """Kafka took some of the events in time. `acknowledged`: which; `position`: of the last of those. The sender keeps
    the others, or all of them, and sends them again."""

    acknowledged: tuple[bool, ...] = ()
    position: Position


class TooMuchInFlight(Unpublished):
    """So much of one key is on its way to Kafka that more would be at the cost of others."""


class Publisher:
    """Produces events. Bounded: past produce_inflight_max_bytes it refuses before it takes, and past
    produce_inflight_key_max_bytes of one key it refuses that one alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = KafkaLink(settings)
        self._inflight_bytes = 0
        self._inflight_of: dict[str, int] = {}
        self._deadlines = Deadlines(settings.produce_timeout_s)
        self._again = {"Retry-After": str(settings.retry_after_s)}
        INFLIGHT.set_function(lambda: self._inflight_bytes)

    async def start(self) -> None:
        """Begin to connect; publish() refuses until Kafka answers."""
        await self._link.start()

    async def stop(self) -> None:
        """Send what was taken, and leave."""
        await self._link.stop()

    @property
    def trouble(self) -> str | None:
        """Why events are refused; None while Kafka takes them."""
        return self._link.trouble

    @property
    def ready(self) -> bool:
        """Whether Kafka answers and the producer lives."""
        return self._link.trouble is None

    async def publish(self, topic: str, key: str, bodies: Sequence[bytes]) -> Position:
        """Produce events of one key in order; the position of the last once all are acknowledged. Raises
        KafkaUnavailable, of which PartlyPublished is one, TooMuchInFlight.

        A refused event may still arrive later, when Kafka took it and its reply was lost: ids make that harmless.
        """
        size = sum(map(len, bodies))
        lanes = self._open(key, size)
        parts: list[Part] = []
        partition = 0
        self._hold(key, size)
        limit = Limit(self._settings.produce_timeout_s)
        self._deadlines.add(limit)
        try:
            encoded = key.encode()
            partition, lane = await lanes.lane(topic, encoded)
            self._check(lane)
            offset = await lane.send(encoded, bodies, parts)
        except KafkaError as error:
            raise self._refusal(topic, partition, parts, len(bodies), type(error).__name__) from error
        except asyncio.CancelledError:
            if not limit.is_ours():
                raise
            raise self._refusal(topic, partition, parts, len(bodies), "it did not answer in time") from None
        finally:
            self._deadlines.discard(limit)
            self._hold(key, -size)
        _published(topic).inc(len(bodies))
        return Position(topic, partition, offset)

    def _open(self, key: str, size: int) -> Lanes:
        trouble, lanes = self._link.trouble, self._link.lanes
        if trouble is not None or lanes is None:
            raise self._unavailable(trouble or NOT_CONNECTED)
        if self._inflight_bytes + size > self._settings.produce_inflight_max_bytes:
            raise self._unavailable("too much is waiting for Kafka")
        held = self._inflight_of.get(key)
        if held is not None and held + size > self._settings.produce_inflight_key_max_bytes:
            raise TooMuchInFlight(
                f"{held} bytes of this profile's events are on their way to Kafka; send these when they have come",
                headers=self._again,
            )
        return lanes

    def _check(self, lane: Lane) -> None:
        """Nothing more is to wait for a partition that does not answer, while others may."""
        silent_s = asyncio.get_running_loop().time() - lane.sent_s
        if silent_s > self._settings.produce_silent_s:
            raise self._unavailable(f"the partition was silent for {silent_s:.1f} s")

    def _hold(self, key: str, size: int) -> None:
        held = self._inflight_of.get(key, 0) + size
        if held:
            self._inflight_of[key] = held
        else:
            self._inflight_of.pop(key, None)
        self._inflight_bytes += size

    def _refusal(self, topic: str, partition: int, parts: list[Part], count: int, reason: str) -> KafkaUnavailable:
        """What is said when not all of `count` events were acknowledged."""
        acknowledged: list[bool] = []
        last: int | None = None
        for part in parts:
            offset = part.offset_known()
            acknowledged += [offset is not None] * part.count
            last = last if offset is None else offset
        taken = sum(acknowledged)
        _published(topic).inc(taken)
        UNPUBLISHED.labels(topic).inc(count - taken)
        if last is None:
            return self._unavailable(reason)
        partly = PartlyPublished(
            f"Kafka took {taken} of {count} events ({reason}): send all again", headers=self._again
        )
        partly.acknowledged = (*acknowledged, *[False] * (count - len(acknowledged)))
        partly.position = Position(topic, partition, last)
        return partly

    def _unavailable(self, reason: str) -> KafkaUnavailable:
        return KafkaUnavailable(
            f"Kafka did not take the events ({reason}); none is known to be recorded: send them again",
            headers=self._again,
        )
