"""Where a replay goes: a topic of Kafka, or an HTTP endpoint that takes CloudEvents. Both say of every event that it is
a replay's, and of which.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from audits.history.events import HistoryEvent
from events.envelope import CONTENT_TYPE
from events.topics import BACKFILL, DEAD_LETTERS, PLAYBACK, POSITION_HEADER, REPLAY_HEADER, TOPICS
from infra.kafka import abandon, new_producer
from infra.settings import Settings

LIVE: Final = frozenset(topic.name for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS))
"""The topics that this installation itself reads."""
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same is sent again."""


class DestinationRefused(Exception):
    """Nothing may be sent there, or can be; the message says what to do."""


class DestinationAway(Exception):
    """An event was not taken after every try. What was acknowledged before it is known, and the replay can go on."""


class EventRefused(Exception):
    """The destination will not have this event; others it takes. `why`: short, to be counted by."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Destination(Protocol):
    """Where events go."""

    async def open(self) -> None:
        """Connect. Raises DestinationRefused, DestinationAway."""

    async def begin(self, event: HistoryEvent) -> Awaitable[None]:
        """Begin to send; what comes back is done when the event was taken, and raises EventRefused, DestinationAway.
        Events of one key are taken in the order in which they were begun.
        """

    async def close(self) -> None:
        """Leave."""


def check_topic(topic: str, *, forced: bool, confirmed: str | None) -> None:
    """Raises DestinationRefused for a topic into which nothing may be replayed."""
    if topic.startswith("__") or not topic:
        raise DestinationRefused(f"{topic!r} is no topic for events.")
    if topic not in LIVE:
        return
    if topic != PLAYBACK.name:
        raise DestinationRefused(
            f"{topic} is written by this installation alone, which finds by its end where it is: nothing is replayed "
            "into it, forced or not. Replay to a topic of another name."
        )
    if not forced or confirmed != topic:
        raise DestinationRefused(
            f"{topic} is live: what is sent to it stays in the history for good. If that is meant, say --force-live "
            f"and --i-know-it-is-live {topic}. Its views pass by what is marked as a replay (docs/audits.md)."
        )


class ToTopic:
    """A topic on the Kafka of the settings, by the events' own keys."""

    def __init__(self, topic: str, replay_id: str, settings: Settings) -> None:
        self._topic = topic
        self._mark = (REPLAY_HEADER, replay_id.encode())
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Connect. Raises DestinationRefused for a topic that is not there, DestinationAway."""
        producer = new_producer(self._settings)
        try:
            async with asyncio.timeout(self._settings.produce_timeout_s):
                await producer.start()
                known = (await producer.client.fetch_all_metadata()).topics()
        except (KafkaError, OSError, TimeoutError) as error:
            await abandon(producer)
            raise DestinationAway(f"Kafka does not answer ({error!r})") from error
        if self._topic not in known:
            await producer.stop()
            raise DestinationRefused(f"Kafka has no topic {self._topic}; create it first.")
        self._producer = producer

    async def begin(self, event: HistoryEvent) -> Awaitable[None]:
        """Hand an event to the producer, which keeps the order of each partition."""
        assert self._producer is not None
        headers = [("content-type", CONTENT_TYPE.encode()), self._mark]
        if event.position is not None and self._topic not in LIVE:
            headers.append((POSITION_HEADER, b"%d" % event.position))
        value = event.value or None
        try:
            return _taken(await self._producer.send(self._topic, value, key=event.key, headers=headers))
        except (KafkaError, OSError) as error:
            raise DestinationAway(f"Kafka does not take events ({error!r})") from error

    async def close(self) -> None:
        """Leave; what is not acknowledged by then is sent again by who goes on."""
        if self._producer is not None:
            await abandon(self._producer)


async def _taken(acknowledged: "asyncio.Future[object]") -> None:
    try:
        await acknowledged
    except (KafkaError, OSError) as error:
        raise DestinationAway(f"Kafka did not take an event ({error!r})") from error


class ToUrl:
    """An HTTP endpoint: a POST for each event, its very bytes, in CloudEvents' structured mode."""

    def __init__(self, url: str, replay_id: str, settings: Settings, headers: Mapping[str, str]) -> None:
        self._url = url
        self._settings = settings
        self._headers = {**headers, "Content-Type": CONTENT_TYPE, REPLAY_HEADER: replay_id}
        self._last: dict[bytes | None, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Make ready; the first event connects."""
        at_a_time = self._settings.replay_http_max_concurrency
        self._client = httpx.AsyncClient(
            timeout=self._settings.replay_timeout_s, limits=httpx.Limits(max_connections=at_a_time), trust_env=False
        )

    async def begin(self, event: HistoryEvent) -> Awaitable[None]:
        """Send an event as soon as the one before it with the same key was taken."""
        task = asyncio.create_task(self._send(event, self._last.get(event.key)))
        self._last[event.key] = task
        self._sending.add(task)
        task.add_done_callback(lambda done: self._forget(event.key, done))
        return task

    async def close(self) -> None:
        """Leave."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _forget(self, key: bytes | None, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if self._last.get(key) is task:
            del self._last[key]

    async def _send(self, event: HistoryEvent, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
            if before.cancelled() or isinstance(before.exception(), DestinationAway):
                raise DestinationAway(f"{self._url} did not take what comes before")
        if not event.value:
            raise EventRefused("no body")
        pause_s, tries = self._settings.replay_retry_base_s, self._settings.replay_max_tries
        for attempt in range(1, tries + 1):
            told, asked_s = await self._try(event)
            if told is None:
                return
            if attempt < tries:
                await asyncio.sleep(min(max(pause_s, asked_s), self._settings.replay_retry_max_s))
                pause_s *= 2
        raise DestinationAway(f"{self._url} did not take an event in {tries} tries ({told})")

    async def _try(self, event: HistoryEvent) -> tuple[str | None, float]:
        """Why it is to be sent again (None: it was taken), and for how long the endpoint asks to wait. Raises
        EventRefused.
        """
        assert self._client is not None
        try:
            reply = await self._client.post(self._url, content=event.value, headers=self._headers)
        except httpx.HTTPError as error:
            return repr(error), 0.0
        if reply.is_success:
            return None, 0.0
        if reply.status_code in AGAIN:
            after = reply.headers.get("Retry-After", "")
            return f"status {reply.status_code}", float(after) if after.isdigit() else 0.0
        raise EventRefused(f"status {reply.status_code}")
