"""How far every projection is: each store's checkpoints beside the ends of Kafka's topics, read once for all who ask at
the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from aiokafka.errors import KafkaError

from infra.clock import monotonic_s, utc_now
from infra.postgres import Pool
from infra.settings import Settings
from infra.unapplied import Unapplied
from query_api.checkpoints import IN_REDIS, MOVED_IN_REDIS
from query_api.drivers import Cql
from query_api.pace import Pace
from query_api.redis_reads import RedisReads
from query_api.sources import Sources
from query_api.stores import Store, StoreUnavailable
from query_api.times import as_utc

IN_POSTGRES: Final = (
    "select topic, partition, next_offset, updated_at from projection_checkpoint where projection = 'postgres'"
)
TOPICS_IN_CASSANDRA: Final = "select distinct projection, topic from projection_checkpoint"
IN_CASSANDRA: Final = (
    "select partition, next_offset, updated_at from projection_checkpoint where projection = 'cassandra' and topic = ?"
)

Place: TypeAlias = tuple[str, int]
"""A topic and a partition."""


class Held(NamedTuple):
    """A checkpoint: the offset that is applied next, and when it was moved last; None before anything was applied."""

    next_offset: int
    moved_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TopicProgress:
    """How far a projection is in a topic. `waits_since`: when Kafka got the oldest record of the partition that is
    furthest behind; None when all is applied, or Kafka did not tell. `lag_records`: None while Kafka is away.
    """

    topic: str
    lag_records: int | None
    moved_at: datetime | None
    waits_since: datetime | None


@dataclass(frozen=True, kw_only=True)
class ProjectionProgress:
    """How far a projection is in each topic that it has begun. `trouble`: why its store cannot be asked, or None.
    `records_per_s`: applied lately; None until that was looked at twice.
    """

    projection: str
    trouble: str | None
    topics: tuple[TopicProgress, ...]
    records_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Of all projections, as of `at`. `kafka_trouble`: why Kafka cannot be asked, or None."""

    at: datetime
    kafka_trouble: str | None
    projections: tuple[ProjectionProgress, ...]


async def held_by_postgres(store: Store[Pool]) -> dict[Place, Held]:
    """The Postgres projection's checkpoints. Raises StoreUnavailable."""
    async with store.use() as pool:
        rows = await pool.fetch(IN_POSTGRES)
    return {(row["topic"], row["partition"]): Held(row["next_offset"], row["updated_at"]) for row in rows}


async def held_by_cassandra(store: Store[Cql]) -> dict[Place, Held]:
    """The Cassandra projection's checkpoints. Raises StoreUnavailable."""
    held: dict[Place, Held] = {}
    async with store.use() as cql:
        keys = await cql.rows(TOPICS_IN_CASSANDRA)
        for topic in sorted({row["topic"] for row in keys if row["projection"] == "cassandra"}):
            for row in await cql.rows(IN_CASSANDRA, topic):
                moved_at = row["updated_at"]
                held[topic, row["partition"]] = Held(row["next_offset"], moved_at and as_utc(moved_at))
    return held


async def held_by_redis(store: Store[RedisReads]) -> dict[Place, Held]:
    """The Redis projection's checkpoints. Raises StoreUnavailable."""
    held: dict[Place, Held] = {}
    async with store.use() as reads:
        fields, moved = await asyncio.gather(reads.fields(IN_REDIS), reads.fields(MOVED_IN_REDIS))
    for field, value in fields.items():
        topic, _, partition = field.decode().rpartition(":")
        moved_at = datetime.fromtimestamp(int(moved[field]) / 1000, UTC) if field in moved else None
        held[topic, int(partition)] = Held(int(value.partition(b":")[0]), moved_at)
    return held


class ProgressReader:
    """Reads the progress of all projections, at most once in `settings.progress_kept_s`."""

    def __init__(self, sources: Sources, settings: Settings) -> None:
        self._settings = settings
        self._readers: Mapping[str, Callable[[], Awaitable[dict[Place, Held]]]] = {
            "cassandra": lambda: held_by_cassandra(sources.cassandra),
            "postgres": lambda: held_by_postgres(sources.postgres),
            "redis": lambda: held_by_redis(sources.redis),
        }
        self._lock = asyncio.Lock()
        self._read_at_s = float("-inf")
        self._last: Progress | None = None
        self._kafka: Unapplied | None = None
        self._paces = {name: Pace(settings.progress_pace_s) for name in self._readers}

    async def read(self) -> Progress:
        """How far they are. What cannot be asked is told in the result; nothing is raised for it."""
        async with self._lock:
            if self._last is None or monotonic_s() - self._read_at_s > self._settings.progress_kept_s:
                self._last = await self._read()
                self._read_at_s = monotonic_s()
            return self._last

    async def close(self) -> None:
        """Leave Kafka."""
        kafka, self._kafka = self._kafka, None
        if kafka is not None:
            await kafka.__aexit__()

    async def _read(self) -> Progress:
        held = dict(zip(self._readers, await asyncio.gather(*map(self._held, self._readers)), strict=True))
        topics = {topic for each in held.values() if not isinstance(each, str) for topic, _ in each}
        ends: dict[Place, int] | None
        waiting: dict[str, Mapping[Place, datetime]] = {}
        trouble = None
        try:
            async with asyncio.timeout(self._settings.query_timeout_s):
                ends = await self._ends(topics)
                for name, each in held.items():
                    if not isinstance(each, str):
                        waiting[name] = await self._waiting(each, ends)
        except (KafkaError, OSError) as error:  # a TimeoutError is one
            await self.close()
            ends, trouble = None, type(error).__name__
        projections = tuple(self._of(name, each, ends, waiting.get(name, {})) for name, each in held.items())
        return Progress(at=utc_now(), kafka_trouble=trouble, projections=projections)

    def _of(
        self,
        name: str,
        held: Mapping[Place, Held] | str,
        ends: Mapping[Place, int] | None,
        waiting: Mapping[Place, datetime],
    ) -> ProjectionProgress:
        if isinstance(held, str):
            return ProjectionProgress(projection=name, trouble=held, topics=())
        topics, pace = _by_topic(held, ends, waiting), self._paces[name].of(_offsets(held), monotonic_s())
        return ProjectionProgress(projection=name, trouble=None, topics=topics, records_per_s=pace)

    async def _held(self, name: str) -> dict[Place, Held] | str:
        """A store's checkpoints, or why it cannot be asked."""
        try:
            return await self._readers[name]()
        except StoreUnavailable as refusal:
            return str(refusal.members["reason"])

    async def _ends(self, topics: set[str]) -> dict[Place, int]:
        if self._kafka is None:
            self._kafka = await Unapplied(self._settings, within_s=self._settings.progress_read_s).__aenter__()
        ends: dict[Place, int] = {}
        for topic in sorted(topics):
            ends |= {(topic, partition): end for partition, end in (await self._kafka.of(topic)).items()}
        return ends

    async def _waiting(self, held: Mapping[Place, Held], ends: Mapping[Place, int]) -> Mapping[Place, datetime]:
        """Of each topic, the partition that is furthest behind, and when Kafka got what it has to apply next."""
        furthest: dict[str, tuple[int, Place]] = {}
        for place, one in held.items():
            if (lag := ends.get(place, 0) - one.next_offset) > 0:
                furthest[place[0]] = max(furthest.get(place[0], (0, place)), (lag, place))
        assert self._kafka is not None
        return await self._kafka.taken_at({place: held[place].next_offset for _, place in furthest.values()})


def _offsets(held: Mapping[Place, Held]) -> dict[Place, int]:
    return {place: one.next_offset for place, one in held.items()}


def _by_topic(
    held: Mapping[Place, Held], ends: Mapping[Place, int] | None, waiting: Mapping[Place, datetime]
) -> tuple[TopicProgress, ...]:
    topics = sorted({topic for topic, _ in held})
    return tuple(_of_topic(topic, held, ends, waiting) for topic in topics)


def _of_topic(
    topic: str, held: Mapping[Place, Held], ends: Mapping[Place, int] | None, waiting: Mapping[Place, datetime]
) -> TopicProgress:
    ours = {place: one for place, one in held.items() if place[0] == topic}
    lag = None if ends is None else sum(max(ends.get(place, 0) - one.next_offset, 0) for place, one in ours.items())
    return TopicProgress(
        topic=topic,
        lag_records=lag,
        moved_at=max((one.moved_at for one in ours.values() if one.moved_at is not None), default=None),
        waits_since=min((at for place, at in waiting.items() if place in ours), default=None),
    )
