"""Rebuild: events a second from Kafka's beginning into a new version of playback_sessions and all that is added up of
it, by one process; beside one that keeps in step what is added up, event by event, instead of adding it up at the end.
"""

import asyncio
import gc
import time
from statistics import median

from events.topics import PLAYBACK
from infra.postgres import Pool, connect_pool
from infra.settings import Settings
from projections.app import postgres_views
from projections.versions import changes, registry
from projections.versions.build import Build
from projections.versions.groups import grouped
from projections.versions.registry import State
from projections.worker import GC_THRESHOLDS
from tests.benchmarks import backlog
from tests.benchmarks.bench import Bench
from tests.benchmarks.results import Line, at_most

SESSIONS = 2_000
EVENTS_EACH = 100
ROUNDS = 3
GOAL_EVENTS_PER_S = 50_000
APPLIED = """
    insert into projection_checkpoint (projection, topic, partition, next_offset, position)
    select 'postgres', * from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
    on conflict (projection, topic, partition) do update set next_offset = excluded.next_offset
"""


async def run(bench: Bench) -> list[Line]:
    """Events a second, and CPU an event."""
    events = SESSIONS * EVENTS_EACH
    with bench.stage(f"rebuild: a backlog of {events} events", events) as advance:
        await backlog.produce(bench.settings, backlog.evenings(SESSIONS, EVENTS_EACH), advance)
    settings = bench.settings.model_copy(update={"rebuild_pause_lag_records": 10**9})
    pool = await connect_pool(settings, size=1)
    try:
        await _say_applied(pool, settings)
        sides = [(await _round(pool, settings), await _round(pool, settings, in_step=True)) for _ in range(ROUNDS)]
    finally:
        await pool.close()
    ours, in_step = zip(*sides, strict=True)
    (rates, costs_us), (_, costs_in_step_us) = zip(*ours, strict=True), zip(*in_step, strict=True)
    of_core = 1e6 / median(costs_us)
    goal, met = f">= {GOAL_EVENTS_PER_S:,}", of_core >= GOAL_EVENTS_PER_S
    return [
        Line("rebuild: sessions and their aggregates, events a CPU second", f"{of_core:,.0f}", goal=goal, met=met),
        Line("rebuild: sessions and their aggregates, events/s", f"{median(rates):,.0f}"),
        at_most("rebuild: beside aggregates in step", "CPU us an event", [*costs_us], [*costs_in_step_us], None),
    ]


async def _say_applied(pool: Pool, settings: Settings) -> None:
    """A rebuild goes as far as the projection, which need not have run for this."""
    ends = await backlog.ends(settings, [PLAYBACK.name])
    topics, partitions = zip(*ends, strict=True)
    await pool.execute(APPLIED, topics, partitions, list(ends.values()), [end - 1 for end in ends.values()])


async def _round(pool: Pool, settings: Settings, *, in_step: bool = False) -> tuple[float, float]:
    """Events a second, and CPU us an event."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as `playhead views` does
    group = grouped(postgres_views(settings))["playback_sessions"]
    version = await changes.begin(settings, group)
    if in_step:
        await registry.move(pool, version, State.CATCHING_UP)  # nothing is left to be added up at the end
    now_s = asyncio.get_running_loop().time
    async with Build(group, version, settings) as build:
        began_s, began_cpu_s = now_s(), time.process_time()
        await build.run()
        events = sum(build.own.values()) - sum(build.first.values())
        took_s, cpu_s = now_s() - began_s, time.process_time() - began_cpu_s
    await changes.retire(settings, version)
    return events / took_s, cpu_s / events * 1e6
