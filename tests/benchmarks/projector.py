"""Projector: events a second, and the CPU an event takes, on a backlog: Playhead's Postgres projections against a bare
getmany loop with the same fold and SQL, and against an ordinary Faust agent.
"""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from events.topics import DEAD_LETTERS, PLAYBACK, TOPICS
from infra.postgres import Pool, connect_pool
from tests.benchmarks import backlog, bare_projector, faust_agent
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.results import Line, at_least, at_most

SESSIONS = 2_000
EVENTS_EACH = 100
EVENTS = SESSIONS * EVENTS_EACH
FAUST_EVENTS = 3_000
ROUNDS = 3
POLL_S = 0.02
WITHIN_S = 90

FORGET = "delete from projection_checkpoint where projection = $1"
BEGIN = """
    insert into projection_checkpoint (projection, topic, partition, next_offset, position)
    select $1, * from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[])
"""
FOLDED = "select coalesce(sum(event_count), 0)::bigint from playback_sessions"


class Speed(NamedTuple):
    """How fast a side folded, from its first batch to its last."""

    events_per_s: float
    cpu_us_per_event: float


@dataclass(frozen=True)
class _Measuring:
    bench: Bench
    pool: Pool
    starts: dict[TopicPartition, int]
    """Where the backlog begins in the playback topic; the end of every other."""

    async def ours(self) -> Speed:
        await self._reset("postgres")
        async with self._running("projections postgres", *playhead("projections", "postgres")) as child:
            return await self._speed(child, EVENTS)

    async def bare(self) -> Speed:
        await self._reset(bare_projector.PROJECTION)
        async with self._running("bare", "-m", bare_projector.__name__) as child:
            return await self._speed(child, EVENTS)

    async def faust(self) -> Speed:
        await self._reset("none")
        await self._commit(faust_agent.GROUP)
        async with self._running("faust", "-m", faust_agent.__name__) as child:
            return await self._speed(child, FAUST_EVENTS)

    def _running(self, name: str, *arguments: str):  # type: ignore[no-untyped-def]
        return running(self.bench, name, *arguments, port_setting="probe_port")

    async def _reset(self, projection: str) -> None:
        tables = ["playback_sessions", *(table.name for _, table in bare_projector.AGGREGATES)]
        await self.pool.execute(f"truncate {', '.join(tables)}")
        await self.pool.execute(FORGET, projection)
        topics, partitions = zip(*self.starts, strict=True)
        nexts = list(self.starts.values())
        positions = [at - 1 if topic == PLAYBACK.name else -1 for topic, at in zip(topics, nexts, strict=True)]
        await self.pool.execute(BEGIN, projection, topics, partitions, nexts, positions)

    async def _commit(self, group: str) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bench.settings.kafka_bootstrap, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        consumer.assign(list(self.starts))
        await consumer.commit(self.starts)
        await consumer.stop()

    async def _speed(self, child: Child, until: int) -> Speed:
        """Start-up is not counted: the measure runs from the first rows that are there to the last."""
        now_s = asyncio.get_running_loop().time
        with self.bench.stage(f"projector: {until} events by {child.name}", until) as advance:
            async with asyncio.timeout(WITHIN_S):
                while not (first := await self.pool.fetchval(FOLDED)):
                    await asyncio.sleep(POLL_S)
                began_s, began_cpu_s, folded = now_s(), child.cpu_s(), first
                while folded < until:
                    await asyncio.sleep(POLL_S)
                    before, folded = folded, await self.pool.fetchval(FOLDED)
                    advance(folded - before)
        events = folded - first
        return Speed(events / (now_s() - began_s), (child.cpu_s() - began_cpu_s) / events * 1e6)


async def run(bench: Bench) -> list[Line]:
    """Lines for events a second and CPU an event."""
    topics = [topic.name for topic in (*TOPICS, *DEAD_LETTERS)]
    starts = await backlog.ends(bench.settings, topics)
    with bench.stage(f"projector: a backlog of {EVENTS} events", EVENTS) as advance:
        await backlog.produce(bench.settings, backlog.evenings(SESSIONS, EVENTS_EACH), advance)
    pool = await connect_pool(bench.settings, size=1)
    try:
        measuring = _Measuring(bench, pool, starts)
        sides = [(await measuring.ours(), await measuring.bare()) for _ in range(ROUNDS)]
        faust = await measuring.faust()
    finally:
        await pool.close()
    for name in ("bare", "faust"):
        bench.peaks_mb.pop(name)
    ours, bare = zip(*sides, strict=True)
    ours_rate, bare_rate = [side.events_per_s for side in ours], [side.events_per_s for side in bare]
    ours_cpu, bare_cpu = [side.cpu_us_per_event for side in ours], [side.cpu_us_per_event for side in bare]
    return [
        at_least("projector: beside a bare loop", "events/s", ours_rate, bare_rate, 0.8),
        at_most("projector: beside a bare loop", "CPU us an event", ours_cpu, bare_cpu, 1.25),
        at_least("projector: beside a Faust agent", "events/s", ours_rate, [faust.events_per_s] * ROUNDS, 5),
        at_most("projector: beside a Faust agent", "CPU us an event", ours_cpu, [faust.cpu_us_per_event] * ROUNDS, 0.2),
    ]
