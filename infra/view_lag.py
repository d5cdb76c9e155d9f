"""How far the Postgres projection is behind a topic: Kafka's end of each partition beside the checkpoint, for processes
that act only once the views have seen what there is.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from infra.kafka import CLIENT_ID, access
from infra.postgres import Pool
from infra.settings import Settings

CHECKPOINTS: Final = "select partition, next_offset from postgres_progress where topic = $1"


class Progress(NamedTuple):
    """Of one partition: the offset after its last record, and the one that the projection applies next."""

    end: int
    next_offset: int

    @property
    def records(self) -> int:
        """How many records are not applied. 0: all that Kafka had when it was asked are."""
        return max(self.end - self.next_offset, 0)


class Ends:
    """Asks Kafka for the ends of topics; reads no records and is in no group. Use as a context."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(
            **access(settings), client_id=CLIENT_ID, enable_auto_commit=False, request_timeout_ms=_request_ms(settings)
        )

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def of(self, topic: str) -> Mapping[int, int]:
        """By partition, the offset after the last record. Raises KafkaError."""
        # The consumer's own partitions_for_topic() knows only topics that it reads.
        cluster = await self._consumer._client.fetch_all_metadata()
        places = [TopicPartition(topic, partition) for partition in cluster.partitions_for_topic(topic) or ()]
        ends = await self._consumer.end_offsets(places) if places else {}
        return {place.partition: offset for place, offset in ends.items()}


class Mirrors:
    """Asks Kafka how far a projection of any store is, as it says itself every offsets_mirror_interval_s. Use as a
    context.
    """

    def __init__(self, settings: Settings) -> None:
        self._admin = AIOKafkaAdminClient(
            **access(settings), client_id=CLIENT_ID, request_timeout_ms=_request_ms(settings)
        )

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def of(self, projection: str, topic: str) -> Mapping[int, int]:
        """By partition, the offset that is applied next; nothing of a projection that never ran. Raises KafkaError."""
        held = await self._admin.list_consumer_group_offsets(f"{CLIENT_ID}-projections-{projection}")
        return {
            place.partition: said.offset for place, said in held.items() if place.topic == topic and said.offset >= 0
        }


async def behind(ends: Ends, pool: Pool, topic: str) -> Mapping[int, Progress]:
    """By partition of a topic, how far the Postgres projection is. Kafka is asked first, so that a partition without
    records behind has applied all that was in it at the time of the call; one without a checkpoint applied none.

    Raises KafkaError, and what a pool raises while Postgres is away.
    """
    found = await ends.of(topic)
    applied = {row["partition"]: row["next_offset"] for row in await pool.fetch(CHECKPOINTS, topic)}
    return {partition: Progress(end, applied.get(partition, 0)) for partition, end in found.items()}


def _request_ms(settings: Settings) -> int:
    return int(settings.produce_timeout_s * 1000)
