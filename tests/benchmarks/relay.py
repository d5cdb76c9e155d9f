"""Relay: events a second from a backlog in the event log to Kafka, by one relay."""

import asyncio
from datetime import timedelta
from statistics import median

from events.envelope import encode
from infra.clock import utc_now
from infra.event_log import partition_of
from infra.ids import new_id, new_uuid
from infra.postgres import Pool, connect_pool
from tests import builders
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.results import Line

EVENTS = 60_000
EVENTS_A_STREAM = 500
ROUNDS = 3
GOAL_EVENTS_PER_S = 30_000
POLL_S = 0.01
WITHIN_S = 120

APPEND = "select append_events($1, $2, 0, $3, $4, $5, $6)"
BEHIND = """
    select sum(head.position - lease.position)::bigint
    from partition_head head join relay_lease lease using (partition)
"""


async def run(bench: Bench) -> list[Line]:
    """Events a second, and CPU an event."""
    pool = await connect_pool(bench.settings, size=2)
    try:
        rounds = [await _round(bench, pool) for _ in range(ROUNDS)]
    finally:
        await pool.close()
    rate, cpu_us = (median(each) for each in zip(*rounds, strict=True))
    goal, met = f">= {GOAL_EVENTS_PER_S:,}", rate >= GOAL_EVENTS_PER_S
    return [
        Line("relay: log to Kafka, events/s", f"{rate:,.0f}", goal=goal, met=met),
        Line("relay: log to Kafka, CPU us an event", f"{cpu_us:.1f}"),
    ]


async def _round(bench: Bench, pool: Pool) -> tuple[float, float]:
    with bench.stage(f"relay: {EVENTS} events into the log", EVENTS) as advance:
        for _ in range(EVENTS // EVENTS_A_STREAM):
            await _append(pool, bench.settings.log_partitions)
            advance(EVENTS_A_STREAM)
    now_s = asyncio.get_running_loop().time
    with bench.stage(f"relay: {EVENTS} events to Kafka", EVENTS) as advance:
        async with running(bench, "relay", *playhead("relay"), port_setting="probe_port") as relay:
            async with asyncio.timeout(WITHIN_S):
                while (first := await pool.fetchval(BEHIND)) > EVENTS * 0.95:  # its start-up is not counted
                    await asyncio.sleep(POLL_S)
                began_s, began_cpu_s, behind = now_s(), relay.cpu_s(), first
                while behind:
                    await asyncio.sleep(POLL_S)
                    before, behind = behind, await pool.fetchval(BEHIND)
                    advance(before - behind)
            return first / (now_s() - began_s), (relay.cpu_s() - began_cpu_s) / first * 1e6


async def _append(pool: Pool, partitions: int) -> None:
    stream_id = f"catalog.series-{new_id()}"
    now = utc_now() - timedelta(days=1)
    built = [builders.season_added(number) for number in range(EVENTS_A_STREAM)]
    await pool.execute(
        APPEND,
        partition_of(stream_id, partitions),
        stream_id,
        [new_uuid() for _ in built],
        [each.type for each in built],
        now,
        [encode(each) for each in built],
    )
