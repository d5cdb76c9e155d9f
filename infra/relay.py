"""The relay: produces the event log to Kafka, partition by partition, in order.

A lease a partition says who may produce it; a dead relay's leases run out and others take them. A relay resumes from
the position noted in the lease and skips what each topic's tail already holds: it may repeat a record, it never
skips or reorders one, and readers drop a position that they have applied.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition
from asyncpg import InterfaceError, PostgresError
from prometheus_client import Counter, Gauge

from events.envelope import CONTENT_TYPE
from events.topics import POSITION_HEADER, TOPICS, Lane, topic_of
from infra.event_log import EventLog, LogRow
from infra.event_log.bell import CHANNEL
from infra.ids import new_id
from infra.kafka import CLIENT_ID, abandon, access, new_producer
from infra.postgres import Pool
from infra.relay_leases import RelayLeases
from infra.settings import Settings
from infra.telemetry import log

RELAYED = Counter("playhead_relay_events_total", "Events produced from the log")
LAG = Gauge("playhead_relay_lag_events", "Events in the log that Kafka does not have yet", ["partition"])
LEASES = Gauge("playhead_relay_leases", "Partitions that this relay produces")

TRANSIENT = (KafkaError, PostgresError, InterfaceError, OSError, TimeoutError)
CONTENT_TYPE_HEADER = ("content-type", CONTENT_TYPE.encode())
LOG_TOPICS = tuple(topic.name for topic in TOPICS if topic.lane is Lane.LOG)


@dataclass
class Leased:
    """A partition that this relay produces. `position`: the last that Kafka acknowledged; `tails`: by topic, the
    last that Kafka held when the lease was taken."""

    partition: int
    position: int
    tails: dict[str, int] = field(default_factory=dict)

    def lacks(self, row: LogRow) -> bool:
        """Whether Kafka did not have this row when the lease was taken."""
        return row.position > self.tails.get(topic_of(row.type).name, 0)


class Relay:
    """Produces the partitions that it has leased. `trouble` says why it does not, or None."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._log = EventLog(pool, settings)
        self._leases = RelayLeases(pool, new_id(), settings)
        self._leased: dict[int, Leased] = {}
        self._valid_until_s = 0.0
        self._stopping = asyncio.Event()
        self._rung = asyncio.Event()
        self.trouble: str | None = "not started"

    def stop(self) -> None:
        """Finish the batch in hand, give the leases back, and end."""
        self._stopping.set()
        self._rung.set()

    async def run(self) -> None:
        """Relay until stop(). Trouble with Kafka or Postgres is waited out, with pauses up to store_retry_max_s."""
        pause_s = 0.1
        while not self._stopping.is_set():
            try:
                await self._relay()
            except* TRANSIENT as errors:
                self.trouble = repr(_first(errors))
                log.warning("relay_interrupted", reason=self.trouble, retry_s=pause_s)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)
            else:
                pause_s = 0.1
        with suppress(*TRANSIENT):
            await self._leases.give_back()

    async def _relay(self) -> None:
        # A new producer each time: after a failed batch, order within a partition is only sure from a clean sequence.
        producer = new_producer(self._settings, batch_max_bytes=self._settings.relay_batch_max_bytes)
        self._leased.clear()
        try:
            await producer.start()
            await self._keep_once()
            async with self._listening(), asyncio.TaskGroup() as tasks:
                keeping = tasks.create_task(self._keep())
                await self._produce_until_stopped(producer)
                keeping.cancel()
        finally:
            await abandon(producer)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._settings.relay_lease_s / 3)
            await self._keep_once()

    async def _keep_once(self) -> None:
        asked_at_s = self._now_s()
        await self._leases.keep()
        self._valid_until_s = asked_at_s + self._settings.relay_lease_s

    async def _produce_until_stopped(self, producer: AIOKafkaProducer) -> None:
        share_out_at_s = 0.0
        while not self._stopping.is_set():
            if self._now_s() >= share_out_at_s:
                await self._share_out()
                share_out_at_s = self._now_s() + self._settings.relay_lease_s / 3
            began_s = self._now_s()
            if await self._produce_round(producer) < self._settings.relay_batch_rows:
                await self._until_more(began_s)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Hear meanwhile when something is recorded. If that ends, the log is looked at as often as without."""
        async with self._pool.acquire() as connection:
            await connection.add_listener(CHANNEL, self._hear)
            try:
                yield
            finally:
                if not connection.is_closed():
                    await connection.remove_listener(CHANNEL, self._hear)

    def _hear(self, *_: object) -> None:
        self._rung.set()

    async def _until_more(self, began_s: float) -> None:
        """Until somebody says that there is more, or until it is to be looked at after a round that began then. A round
        for one row costs as much as for hundreds: some are let come.
        """
        await self._pause(began_s + self._settings.relay_round_min_s - self._now_s())
        with suppress(TimeoutError):
            async with asyncio.timeout(began_s + self._settings.relay_poll_interval_s - self._now_s()):
                await self._rung.wait()

    async def _share_out(self) -> None:
        positions = await self._leases.share_out()
        taken = {
            partition: Leased(partition, at) for partition, at in positions.items() if partition not in self._leased
        }
        if taken:
            await self._read_tails(taken)
        kept = {partition: leased for partition, leased in self._leased.items() if partition in positions}
        self._leased = {**kept, **taken}
        LEASES.set(len(self._leased))
        self.trouble = None

    async def _read_tails(self, taken: dict[int, Leased]) -> None:
        places = [TopicPartition(topic, partition) for topic in LOG_TOPICS for partition in taken]
        for place, position in (await _tails(places, self._settings)).items():
            taken[place.partition].tails[place.topic] = position

    async def _produce_round(self, producer: AIOKafkaProducer) -> int:
        """Produce the next rows of every leased partition that has some; how many the one with the most had. While
        Kafka acknowledges those of one partition, those of another are read.
        """
        self._rung.clear()  # what is recorded from here on may be missed
        behind = await self._behind()
        async with asyncio.timeout(self._settings.produce_timeout_s), asyncio.TaskGroup() as tasks:
            producing = [tasks.create_task(self._produce_next(leased, producer)) for leased in behind]
        positions = {leased.partition: task.result() for leased, task in zip(behind, producing, strict=True)}
        most = max((positions[leased.partition] - leased.position for leased in behind), default=0)
        await self._advance(positions)
        return most

    async def _produce_next(self, leased: Leased, producer: AIOKafkaProducer) -> int:
        """Produce a partition's next rows; the position of the last, once Kafka has acknowledged all."""
        rows = await self._log.read(leased.partition, after=leased.position, limit=self._settings.relay_batch_rows)
        if self._now_s() >= self._valid_until_s:
            raise TimeoutError("the leases ran out before they were renewed")
        by_topic: dict[str, list[LogRow]] = {}
        for row in rows:
            if leased.lacks(row):
                by_topic.setdefault(topic_of(row.type).name, []).append(row)
        async with asyncio.TaskGroup() as tasks:
            for topic, lacking in by_topic.items():
                tasks.create_task(_produce(producer, TopicPartition(topic, leased.partition), lacking))
        RELAYED.inc(sum(map(len, by_topic.values())))
        return rows[-1].position

    async def _behind(self) -> list[Leased]:
        heads = await self._pool.fetch(
            "select partition, position from partition_head where partition = any($1)", list(self._leased)
        )
        for head in heads:
            LAG.labels(head["partition"]).set(head["position"] - self._leased[head["partition"]].position)
        return [
            self._leased[at["partition"]] for at in heads if at["position"] > self._leased[at["partition"]].position
        ]

    async def _advance(self, positions: dict[int, int]) -> None:
        for partition, position in positions.items():
            self._leased[partition].position = position
        if positions:
            await self._leases.advance(positions)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the errors themselves, which groups within groups may hold."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _produce(producer: AIOKafkaProducer, place: TopicPartition, rows: Sequence[LogRow]) -> None:
    """Batch after batch, each acknowledged before the next is sent: none can overtake one that failed."""
    for batch in _batches(producer, rows):
        acknowledged = await producer.send_batch(batch, place.topic, partition=place.partition)
        await acknowledged


def _batches(producer: AIOKafkaProducer, rows: Sequence[LogRow]) -> Iterator[BatchBuilder]:
    """Rows as full batches: a send() for each would make a future and find its topic anew."""
    batch = producer.create_batch()
    for row in rows:
        if not _appended(batch, row):
            yield batch
            batch = producer.create_batch()
            _appended(batch, row)  # a batch's first row has room, however long
    yield batch


def _appended(batch: BatchBuilder, row: LogRow) -> bool:
    headers = [CONTENT_TYPE_HEADER, (POSITION_HEADER, b"%d" % row.position)]
    return batch.append(timestamp=None, key=row.stream_id.encode(), value=row.body, headers=headers) is not None


async def _tails(places: list[TopicPartition], settings: Settings) -> dict[TopicPartition, int]:
    """The log position of the newest record in each topic partition that has one."""
    consumer = AIOKafkaConsumer(**access(settings), client_id=CLIENT_ID, group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(places)
        begins = await consumer.beginning_offsets(places)
        filled = [place for place in places if ends[place] > begins[place]]
        consumer.assign(filled)
        for place in filled:
            consumer.seek(place, ends[place] - 1)
        return await _last_positions(consumer, set(filled), settings)
    finally:
        await consumer.stop()


async def _last_positions(
    consumer: AIOKafkaConsumer, missing: set[TopicPartition], settings: Settings
) -> dict[TopicPartition, int]:
    positions: dict[TopicPartition, int] = {}
    async with asyncio.timeout(settings.produce_timeout_s):
        while missing:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                positions[place] = int(dict(records[-1].headers)[POSITION_HEADER])
                missing.discard(place)
    return positions
