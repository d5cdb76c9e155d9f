"""What moves backfills to the views, as a process: `playhead backfill`. Probes beside it; SIGTERM finishes the slice in
hand. Several share the topic's partitions; each keeps its own pace.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from prometheus_client import Gauge

from commands.playback.backfill.moving import Ending, Mover
from commands.playback.backfill.poison import Record
from events.topics import BACKFILL, PLAYBACK
from infra.clock import monotonic_s, utc_now
from infra.kafka import CLIENT_ID, access
from infra.postgres import Pool, Role, connect_pool
from infra.publisher import Publisher
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.view_lag import Ends, Mirrors, behind
from infra.working import working

GROUP: Final = f"{CLIENT_ID}-backfill"
FETCH_WAIT_MS: Final = 500
NEVER_MS: Final = 24 * 3600 * 1000
"""The views may be behind for long, and then nothing is fetched."""
FIRST_PAUSE_S: Final = 0.2
MIRRORING: Final = ("cassandra", "redis")
"""The projections whose checkpoints are not in Postgres: how far they are they tell Kafka, now and then."""
AWAY: Final = (OSError, TimeoutError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError)
BEHIND: Final = Gauge("playhead_backfill_views_behind_records", "Records of playback.events not yet in Postgres' views")


class KafkaSource:
    """The backfill's topic. Opened, it goes on at what was committed. Use as a context."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(
            BACKFILL.name,
            **access(settings),
            client_id=CLIENT_ID,
            group_id=GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=NEVER_MS,
            fetch_max_bytes=settings.fetch_max_bytes,
            max_partition_fetch_bytes=settings.partition_fetch_max_bytes,
        )
        self._next: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> "KafkaSource":
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def fetch(self, most: int) -> Sequence[Record]:
        """See Source."""
        fetched = await self._consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=most)
        return [record for records in fetched.values() for record in records]

    async def commit(self, records: Sequence[Record]) -> None:
        """See Source."""
        moved = {TopicPartition(BACKFILL.name, record.partition): record.offset + 1 for record in records}
        await self._consumer.commit(moved)
        self._next |= moved

    def waiting(self) -> int:
        """See Source."""
        ours = self._next.keys() & self._consumer.assignment()
        return sum(max((self._consumer.highwater(place) or 0) - self._next[place], 0) for place in ours)


class LiveViews:
    """How far the views of every store are behind playback.events, asked at most every backfill_lag_poll_s."""

    def __init__(self, pool: Pool, ends: Ends, mirrors: Mirrors, settings: Settings) -> None:
        self._pool = pool
        self._ends = ends
        self._mirrors = mirrors
        self._most = settings.backfill_pause_lag_records
        self._poll_s = settings.backfill_lag_poll_s
        self._mirrored_after_s = 2 * settings.offsets_mirror_interval_s
        self._known: deque[tuple[float, Mapping[int, int]]] = deque()
        self._asked_s = 0.0
        self._are_behind = True

    async def are_behind(self) -> bool:
        """See Views."""
        now_s = monotonic_s()
        if now_s - self._asked_s >= self._poll_s:
            self._are_behind = await self._ask(now_s)
            self._asked_s = now_s
        return self._are_behind

    async def _ask(self, now_s: float) -> bool:
        found = await behind(self._ends, self._pool, PLAYBACK.name)
        left = sum(progress.records for progress in found.values())
        BEHIND.set(left)
        self._known.append((now_s, {partition: progress.end for partition, progress in found.items()}))
        if left > self._most:
            return True
        return await self._is_a_mirror_behind(now_s)

    async def _is_a_mirror_behind(self, now_s: float) -> bool:
        """Whether a store has not even applied what there was when it must have told of it last."""
        then: Mapping[int, int] | None = None
        while self._known and now_s - self._known[0][0] >= self._mirrored_after_s:
            _, then = self._known.popleft()
        if then is None:
            return False
        self._known.appendleft((now_s - self._mirrored_after_s, then))
        for projection in MIRRORING:
            said = await self._mirrors.of(projection, PLAYBACK.name)
            left = sum(max(then.get(partition, 0) - offset, 0) for partition, offset in said.items())
            if left > self._most:
                return True
        return False


class Rounds:
    """Moves until told to end. `trouble`: why nothing can be moved now, or None."""

    def __init__(self, pool: Pool, publisher: Publisher, settings: Settings) -> None:
        self._pool = pool
        self._publisher = publisher
        self._settings = settings
        self.ending = Ending()
        self.trouble: str | None = "not started"

    async def run(self) -> None:
        """Kafka or Postgres away is waited out, with pauses up to store_retry_max_s."""
        pause_s = FIRST_PAUSE_S
        while not self.ending.is_told:
            try:
                async with self._opened() as mover:
                    while not self.ending.is_told:
                        await mover.move_slice()
                        self.trouble, pause_s = None, FIRST_PAUSE_S
            except AWAY as error:
                self.trouble = repr(error)
                log.warning("backfill_interrupted", reason=self.trouble)
                await self.ending.pause(pause_s)
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)

    async def missing(self) -> dict[str, str]:
        """What readiness shows."""
        return {"backfill": self.trouble} if self.trouble else {}

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Mover]:
        async with (
            KafkaSource(self._settings) as source,
            Ends(self._settings) as ends,
            Mirrors(self._settings) as mirrors,
        ):
            views = LiveViews(self._pool, ends, mirrors, self._settings)
            yield Mover(source, views, self._publisher, clock=utc_now, settings=self._settings, ending=self.ending)


def run(settings: Settings) -> None:
    """Move backfills until SIGTERM or SIGINT."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with AsyncExitStack() as opened:
        pool = await connect_pool(settings, role=Role.RELAY)
        opened.push_async_callback(pool.close)
        publisher = Publisher(settings)
        await publisher.start()
        opened.push_async_callback(publisher.stop)
        rounds = Rounds(pool, publisher, settings)
        await opened.enter_async_context(working(settings, "backfill", ready=rounds.missing, stop=rounds.ending.tell))
        await rounds.run()
