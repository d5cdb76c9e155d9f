"""Curve: what an event costs the Postgres projector as its tables grow and as partitions are added, and what memory its
worker holds beside what its settings allow.

One backlog of sessions that are each other's strangers; what counts is the cost from one mark to the next. What is
found at a mark is told at once: a run that takes too long or stands still ends there, with what it has.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from events.topics import DEAD_LETTERS, PLAYBACK, TOPICS
from infra.kafka import access
from infra.postgres import Pool, connect_pool
from infra.settings import Settings, servers_given
from tests.benchmarks import backlog, bare_projector
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.projector import BEGIN, FORGET
from tests.benchmarks.results import Line

MARKS: Final = (0, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
PARTITIONS: Final = (8, 16, 32, 64)
PARTITIONS_EVENTS: Final = 100_000
LARGE_BYTES: Final = 30 * 1024
LARGE_EVENTS: Final = 8_000
FLAT: Final = 1.25
POLL_S: Final = 0.05
STANDS_STILL_S: Final = 60.0
MOST_S: Final = 25 * 60.0
"""How long a worker is watched."""
BYTES_AN_EVENT: Final = 600
"""On disk at most, in Kafka, and in Postgres with its log and what its updates leave behind."""
DECODED: Final = 6
"""What a byte of an event in hand comes to at most: fetched, decoded, in the row before and after, in a statement."""
MIB: Final = 2**20
WORKER: Final = "projections postgres"
LARGE: Final = f"{WORKER}, large events"
IDLE: Final = f"{WORKER}, idle"

APPLIED: Final = """
    select coalesce(sum(next_offset), 0)::bigint from projection_checkpoint
    where projection = 'postgres' and topic = $1
"""


class TooLittleRoom(Exception):
    """The disk may not hold what is to be measured."""


class Mark(NamedTuple):
    """Where a worker was. `events`: that it had applied since it began."""

    events: int
    at_s: float
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True)
class _Curve:
    bench: Bench
    pool: Pool

    async def marks(self, what: str, events: int, *, partitions: int | None = None, size: int = 0) -> list[Mark]:
        """Of a worker with empty tables and so many events before it. `size`: bytes of an event, at least."""
        topics = [topic.name for topic in (*TOPICS, *DEAD_LETTERS)]
        starts = await backlog.ends(self.bench.settings, topics)
        with self.bench.stage(f"{what}: a backlog of {events} events", events) as advance:
            await backlog.produce_batches(self.bench.settings, backlog.strangers(events, size), advance)
        await self._reset(starts)
        begun = sum(at for place, at in starts.items() if place.topic == PLAYBACK.name)
        async with self.worker(LARGE if size else WORKER) as child:
            marks: list[Mark] = []
            async for mark in self._watched(child, what, begun, events):
                marks.append(mark)
                if len(marks) > 1:
                    self.bench.tell(_told(what, *marks[-2:]))
            return marks

    @asynccontextmanager
    async def worker(self, name: str) -> AsyncIterator[Child]:
        async with running(self.bench, name, *playhead("projections", "postgres"), port_setting="probe_port") as child:
            yield child

    async def _reset(self, starts: dict) -> None:  # type: ignore[type-arg]  # of aiokafka's pairs, untyped
        tables = ["playback_sessions", *(table.name for _, table in bare_projector.AGGREGATES)]
        await self.pool.execute(f"truncate {', '.join(tables)}")
        await self.pool.execute(FORGET, "postgres")
        topics, partitions = zip(*starts, strict=True)
        positions = [at - 1 if topic == PLAYBACK.name else -1 for (topic, _), at in starts.items()]
        await self.pool.execute(BEGIN, "postgres", topics, partitions, list(starts.values()), positions)

    async def _watched(self, child: Child, what: str, begun: int, events: int) -> AsyncIterator[Mark]:
        """Where it is when it has begun, when it passes each mark, and at the end, or when nothing moves any more."""
        now_s = asyncio.get_running_loop().time
        ahead = [mark for mark in MARKS if mark < events] + [events]
        with self.bench.stage(f"{what}: {events} events", events) as advance:
            applied, moved_at_s, end_s = 0, now_s(), now_s() + MOST_S
            while ahead:
                before, applied = applied, await self.pool.fetchval(APPLIED, PLAYBACK.name) - begun
                advance(applied - before)
                moved_at_s = now_s() if applied > before else moved_at_s
                if applied >= max(ahead[0], 1):
                    yield Mark(applied, now_s(), child.cpu_s(), child.rss_mb())
                    ahead = [mark for mark in ahead if mark > applied]
                elif now_s() > min(moved_at_s + STANDS_STILL_S, end_s):
                    self.bench.tell(f"{what}: it is ended at {applied:,} of {events:,} events")
                    yield Mark(applied, now_s(), child.cpu_s(), child.rss_mb())
                    return
                await asyncio.sleep(POLL_S)


async def run(bench: Bench, events: int) -> list[Line]:
    """The curve up to so many events, the one over partitions, and the memory. Raises TooLittleRoom."""
    free, wanted = shutil.disk_usage(".").free, events * BYTES_AN_EVENT
    if free < wanted:
        raise TooLittleRoom(
            f"{events:,} events may take {wanted / MIB:,.0f} MB of disk, and {free / MIB:,.0f} are free"
        )
    pool = await connect_pool(bench.settings, size=1)
    try:
        curve = _Curve(bench, pool)
        lines = _grown(await curve.marks("curve", events), events)
        lines += await _partitioned(curve)
        await curve.marks("curve, large events", LARGE_EVENTS, size=LARGE_BYTES)
        return [*lines, *await _memory(curve)]
    finally:
        await pool.close()


def _grown(marks: list[Mark], events: int) -> list[Line]:
    lines, costs = [], []
    for before, after in pairwise(marks):
        cost_us, rate = _cost(before, after)
        costs.append(cost_us)
        what = f"curve: events {before.events:,} to {after.events:,}, CPU us an event"
        lines.append(Line(what, f"{cost_us:.1f}", f"{rate:,.0f}/s", f"{after.rss_mb:.0f} MB"))
    if not marks or marks[-1].events < events:
        lines.append(Line(f"curve: ended before {events:,} events", "", goal="all", met=False))
    return [*lines, *_flat("curve: the last events beside the first", costs)]


async def _partitioned(curve: _Curve) -> list[Line]:
    if servers_given():  # partitions that were added stay
        return [Line("curve: partitions", "only on servers of its own")]
    lines, costs = [], []
    for count in PARTITIONS:
        await _have_partitions(curve.bench.settings, count)
        marks = await curve.marks(f"curve, {count} partitions", PARTITIONS_EVENTS)
        cost_us, rate = _cost(marks[0], marks[-1])
        costs.append(cost_us)
        what = f"curve: {count} partitions, CPU us an event"
        lines.append(Line(what, f"{cost_us:.1f}", f"{rate:,.0f}/s", f"{marks[-1].rss_mb:.0f} MB"))
    return [*lines, *_flat(f"curve: {PARTITIONS[-1]} partitions beside {PARTITIONS[0]}", costs)]


def _cost(before: Mark, after: Mark) -> tuple[float, float]:
    """CPU us an event, and events a second."""
    events = max(after.events - before.events, 1)
    return (after.cpu_s - before.cpu_s) / events * 1e6, events / (after.at_s - before.at_s)


def _told(what: str, before: Mark, after: Mark) -> str:
    cost_us, rate = _cost(before, after)
    return f"{what}: {before.events:,} to {after.events:,}: {cost_us:.1f} us of CPU an event, {rate:,.0f} events/s"


def _flat(what: str, costs: list[float]) -> list[Line]:
    if not costs:
        return []
    ratio = costs[-1] / costs[0]
    return [Line(what, "", "", f"{ratio:.2f}", f"<= {FLAT:g}", ratio <= FLAT)]


async def _have_partitions(settings: Settings, count: int) -> None:
    admin = AIOKafkaAdminClient(**access(settings))
    await admin.start()
    try:
        [described] = await admin.describe_topics([PLAYBACK.name])
        if len(described["partitions"]) < count:
            await admin.create_partitions({PLAYBACK.name: NewPartitions(total_count=count)})
    finally:
        await admin.close()


async def _memory(curve: _Curve) -> list[Line]:
    """The most that the worker came to, beside what it has when there is nothing to do and what its settings allow."""
    async with curve.worker(IDLE) as idle:
        idle_mb = idle.rss_mb()
    partitions = len(await backlog.ends(curve.bench.settings, [PLAYBACK.name]))
    most_mb = idle_mb + bound_mb(curve.bench.settings, partitions)
    peaks_mb = {name: curve.bench.peaks_mb.pop(name) for name in (WORKER, LARGE, IDLE)}
    return [
        Line(
            f"curve: memory, {name}, MB",
            f"{peaks_mb[name]:.0f}",
            f"{idle_mb:.0f} idle",
            goal=f"< {most_mb:.0f}",
            met=peaks_mb[name] < most_mb,
        )
        for name in (WORKER, LARGE)
    ]


def bound_mb(settings: Settings, partitions: int) -> float:
    """What a worker may hold beside itself: fetched ahead, on its way from the client, waiting, being applied."""
    ahead = settings.fetch_max_bytes + partitions * settings.partition_fetch_max_bytes
    on_its_way = settings.batch_max_bytes + settings.slab_max_records * settings.event_max_bytes
    waits = settings.batch_max_bytes
    in_hand = settings.batch_max_bytes * DECODED
    return (ahead + on_its_way + waits + in_hand) / MIB
