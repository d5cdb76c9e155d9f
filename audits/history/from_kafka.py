"""What Kafka holds of partitions, beyond what the archive has."""

import asyncio
from collections.abc import AsyncIterator, Collection
from itertools import accumulate
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from audits.history.chunks import Rows
from audits.history.events import microseconds_of
from audits.sources import KAFKA_AWAY, Source, SourceAway
from events.topics import REPLAY_HEADER
from infra.archive.records import Attributes, envelopes_of, position_of

POLL_MS: Final = 1000


class FromKafka:
    """Reads partitions of a consumer, each by whoever asks for it; `timeout_s`: how long Kafka may be silent."""

    def __init__(self, consumer: AIOKafkaConsumer, *, timeout_s: float) -> None:
        self._consumer = consumer
        self._timeout_s = timeout_s

    async def partitions(self, topics: Collection[str]) -> list[tuple[str, int]]:
        """Of topics, those that exist. Raises SourceAway."""
        try:
            async with asyncio.timeout(self._timeout_s):
                client = self._consumer._client
                cluster = await client.fetch_all_metadata()
                # At once: else it would look for the leaders of each topic when that is asked for its offsets.
                await client.set_topics([topic for topic in topics if cluster.partitions_for_topic(topic)])
        except KAFKA_AWAY as error:
            raise SourceAway.of(Source.KAFKA, error) from error
        return [(topic, each) for topic in topics for each in sorted(cluster.partitions_for_topic(topic) or ())]

    async def bounds(self, partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """The first offset that Kafka holds of each, and the one after its last. Raises SourceAway."""
        places = [TopicPartition(*each) for each in partitions]
        if not places:
            return {}
        try:
            async with asyncio.timeout(self._timeout_s):
                begins = await self._consumer.beginning_offsets(places)
                ends = await self._consumer.end_offsets(places)
        except KAFKA_AWAY as error:
            raise SourceAway.of(Source.KAFKA, error) from error
        return {tuple(place): (begins[place], ends[place]) for place in places}

    def assign(self, starts: dict[tuple[str, int], int]) -> None:
        """Read these, from there."""
        # Else what waits of one partition would hold up the others, for a tenth of a second each time.
        self._consumer._fetcher._prefetch_backoff = 0
        self._consumer.assign([TopicPartition(*each) for each in starts])
        for each, offset in starts.items():
            self._consumer.seek(TopicPartition(*each), offset)

    async def rows(
        self, partition: tuple[str, int], end: int, *, last_us: int | None, most: int
    ) -> AsyncIterator[Rows]:
        """Records up to before an offset, at most so many at a time. `last_us`: the time of history of what comes
        before them. Raises SourceAway, and OffsetOutOfRangeError for what Kafka has no more.
        """
        place = TopicPartition(*partition)
        while await self._position(place) < end:
            messages = [each for each in await self._messages(place, most) if each.offset < end]
            if messages:
                rows = rows_of(messages, last_us)
                last_us = rows.times[-1]
                yield rows
        self._consumer.pause(place)  # else Kafka would wait for more of it, and others for Kafka

    async def _position(self, place: TopicPartition) -> int:
        position: int = await self._consumer.position(place)
        return position

    async def _messages(self, place: TopicPartition, most: int) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    found = await self._consumer.getmany(place, timeout_ms=POLL_MS, max_records=most)
                    if found:
                        messages: list[Any] = found[place]
                        return messages
        except TimeoutError as error:
            raise SourceAway.of(Source.KAFKA, f"nothing of {place.topic} for {self._timeout_s:g} s") from error


def rows_of(messages: list[Any], last_us: int | None) -> Rows:
    """Kafka's records as rows, in the time of history that the archive would give them."""
    values = [each.value for each in messages]
    envelopes = envelopes_of(values)
    marks = [any(name == REPLAY_HEADER for name, _ in each.headers) for each in messages]
    return Rows(
        source=Source.KAFKA,
        offsets=[each.offset for each in messages],
        positions=[position_of(each.headers) if each.headers else None for each in messages],
        times=times_of(envelopes, messages[0].timestamp, last_us),
        keys=[each.key for each in messages],
        values=values,
        envelopes=envelopes,
        replayed=marks if any(marks) else None,
    )


def times_of(envelopes: list[Attributes], first_ms: int, last_us: int | None) -> list[int]:
    """When each was recorded, never running backwards; what says nothing has the time before it, or Kafka's."""
    first_us = first_ms * 1000 if last_us is None else last_us
    told = (None if each.recordedtime is None else microseconds_of(each.recordedtime) for each in envelopes)
    [head, *rest] = told
    begin = first_us if head is None else head if last_us is None else max(head, last_us)
    return [*accumulate(rest, lambda before, now: before if now is None else max(before, now), initial=begin)]
