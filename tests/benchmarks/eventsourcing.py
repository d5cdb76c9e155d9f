"""Append, relay and project, each by itself and all at once, beside the Python library `eventsourcing` on the same
Postgres: the same commands on as many streams, and a row for every event in the end.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from commands.handling import Handling
from events.topics import SUBSCRIPTION
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.postgres import Pool, connect_pool
from tests.benchmarks import backlog, history_projection, peer, projector, relay, renewals
from tests.benchmarks.append import append_all
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.results import Line, at_least, at_most

NAME = "eventsourcing"
SCRIPT = peer.PEERS / NAME / "pipeline.py"
SCHEMA = "bench_eventsourcing"
ROUNDS = 3
WRITERS = 8
EACH = 10
ALONE, TOGETHER, END_TO_END = 100, 240, 400
"""Streams written by one writer, by WRITERS, and by WRITERS while all is relayed and projected; EACH events each."""
BACKLOG, BACKLOG_A_STREAM = 30_000, 500
"""What we relay and project besides: what was written takes us no time that could be measured."""
POLL_S = 0.01
WITHIN_S = 120.0
GOAL = 3.0

OURS = "select count(*) from subscription_history"
PEERS = f"select count(*) from {SCHEMA}.history"
PEERS_WRITTEN = f"select count(*) from {SCHEMA}.billing_events"


class Speed(NamedTuple):
    """Events a second of each step, and the CPU that an event takes of all processes but the servers."""

    alone: float
    together: float
    relay: float
    project: float
    end_to_end: float
    alone_cpu_us: float
    end_to_end_cpu_us: float


async def run(bench: Bench) -> list[Line]:
    """A line for each step."""
    python = await peer.installed(bench, NAME)
    pool = await connect_pool(bench.settings, size=WRITERS)
    try:
        async with running(bench, "relay", *playhead("relay"), port_setting="probe_port"):
            await _until(pool, relay.BEHIND, 0)  # what other benchmarks left
        sides = []
        for number in range(1, ROUNDS + 1):
            with bench.stage(f"eventsourcing: round {number} of {ROUNDS}, ours", 1):
                ours = await _ours(bench, pool)
            with bench.stage(f"eventsourcing: round {number} of {ROUNDS}, the library's", 1):
                sides.append((ours, await _peers(bench, pool, python)))
    finally:
        await pool.execute(f"drop schema if exists {SCHEMA} cascade")
        await pool.close()
    return _lines([ours for ours, _ in sides], [peers for _, peers in sides])


def _lines(ours: list[Speed], peers: list[Speed]) -> list[Line]:
    def rate(what: str, of: Callable[[Speed], float], goal: float | None = None) -> Line:
        return at_least(f"eventsourcing: {what}", "events/s", [*map(of, ours)], [*map(of, peers)], goal)

    def cpu(what: str, of: Callable[[Speed], float]) -> Line:
        return at_most(f"eventsourcing: {what}", "CPU us an event", [*map(of, ours)], [*map(of, peers)], None)

    return [
        rate("append, 1 writer", lambda speed: speed.alone),
        cpu("append, 1 writer", lambda speed: speed.alone_cpu_us),
        rate(f"append, {WRITERS} writers", lambda speed: speed.together),
        rate("relay to Kafka / read the notification log", lambda speed: speed.relay),
        rate("project", lambda speed: speed.project),
        rate(f"append, relay and project, {WRITERS} writers", lambda speed: speed.end_to_end, GOAL),
        cpu(f"append, relay and project, {WRITERS} writers", lambda speed: speed.end_to_end_cpu_us),
    ]


async def _ours(bench: Bench, pool: Pool) -> Speed:
    log = EventLog(pool, bench.settings)
    handling = Handling(log, utc_now)
    await _reset(bench, pool)
    alone, alone_cpu_us = await _appended(handling, ALONE, 1)
    together, _ = await _appended(handling, TOGETHER, WRITERS)
    await _append_backlog(log)
    written = (ALONE + TOGETHER) * EACH + BACKLOG
    async with running(bench, "relay", *playhead("relay"), port_setting="probe_port") as relaying:
        relayed = await _rate(lambda: _relayed(pool, written), written)
        async with _projecting(bench) as projecting:
            projected = await _rate(lambda: pool.fetchval(OURS), written)
            children = (relaying, projecting)
            began_s, began_cpu_s = time.perf_counter(), _cpu_s(children)
            await append_all(handling, renewals.in_turn(renewals.streams(END_TO_END), EACH), WRITERS)
            await _until(pool, OURS, written + END_TO_END * EACH)
            per_s, cpu_us = _per_event(began_s, _cpu_s(children) - began_cpu_s, END_TO_END * EACH)
    return Speed(alone, together, relayed, projected, per_s, alone_cpu_us, cpu_us)


def _projecting(bench: Bench):  # type: ignore[no-untyped-def]
    return running(bench, "history", "-m", history_projection.__name__, port_setting="probe_port")


async def _reset(bench: Bench, pool: Pool) -> None:
    """An empty view that begins where its topic ends now."""
    await pool.execute("truncate subscription_history")
    await pool.execute(projector.FORGET, "postgres")
    ends = await backlog.ends(bench.settings, [SUBSCRIPTION.name])
    topics, partitions = zip(*ends, strict=True)
    await pool.execute(projector.BEGIN, "postgres", topics, partitions, [*ends.values()], [-1] * len(ends))


async def _appended(handling: Handling, count: int, writers: int) -> tuple[float, float]:
    targets = renewals.in_turn(renewals.streams(count), EACH)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await append_all(handling, targets, writers)
    return _per_event(began_s, time.process_time() - began_cpu_s, count * EACH)


async def _append_backlog(log: EventLog) -> None:
    for target in renewals.streams(BACKLOG // BACKLOG_A_STREAM):
        async with log.open({target.stream_id: None}, now=utc_now()) as opened:
            events = renewals.several(target.subject, BACKLOG_A_STREAM, utc_now())
            await opened.record({target.stream_id: events}, renewals.TERMS.context, b"")


async def _relayed(pool: Pool, written: int) -> int:
    behind: int = await pool.fetchval(relay.BEHIND)
    return written - behind


def _cpu_s(children: tuple[Child, Child]) -> float:
    return time.process_time() + sum(child.cpu_s() for child in children)


async def _peers(bench: Bench, pool: Pool, python: Path) -> Speed:
    await pool.execute(f"drop schema if exists {SCHEMA} cascade")
    await pool.execute(f"create schema {SCHEMA}")
    environment = peer.eventsourcing_environment(bench.settings, SCHEMA, pool=WRITERS)

    def step(*arguments: object):  # type: ignore[no-untyped-def]
        return peer.running(python, SCRIPT, *map(str, arguments), env=environment)

    async def measured(*arguments: object) -> peer.Measured:
        async with step(*arguments) as running_step:
            running_step.begin()
            result: peer.Measured = await running_step.measured()
            return result

    alone = await measured("write", 1, ALONE, EACH)
    together = await measured("write", WRITERS, TOGETHER, EACH)
    read = await measured("read")
    written = await pool.fetchval(PEERS_WRITTEN)
    # Like our projection, theirs need not wait for the disk: what a crash loses is projected again.
    environment["PGOPTIONS"] = "-c synchronous_commit=off"
    async with step("project") as projecting:
        projected = await _rate(lambda: pool.fetchval(PEERS), written)
        del environment["PGOPTIONS"]
        async with step("write", WRITERS, END_TO_END, EACH) as writing:
            written = await pool.fetchval(PEERS_WRITTEN)
            await _until(pool, PEERS, written)
            began_s, began_cpu_s = time.perf_counter(), projecting.cpu_s()
            writing.begin()
            wrote = await writing.measured()
            await _until(pool, PEERS, written + END_TO_END * EACH)
            per_s, cpu_us = _per_event(began_s, projecting.cpu_s() - began_cpu_s, END_TO_END * EACH)
    return Speed(alone.per_s, together.per_s, read.per_s, projected, per_s, alone.cpu_us, cpu_us + wrote.cpu_us)


def _per_event(began_s: float, cpu_s: float, events: int) -> tuple[float, float]:
    """Events a second, and microseconds of CPU an event."""
    return events / (time.perf_counter() - began_s), cpu_s / events * 1e6


async def _rate(done: Callable[[], Awaitable[int]], until: int) -> float:
    """Events a second from the first that is seen to the last: start-up is not counted."""
    async with asyncio.timeout(WITHIN_S):
        while not (first := await done()):
            await asyncio.sleep(POLL_S)
        began_s = time.perf_counter()
        while await done() < until:
            await asyncio.sleep(POLL_S)
    return (until - first) / (time.perf_counter() - began_s)


async def _until(pool: Pool, count: str, wanted: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await pool.fetchval(count) != wanted:
            await asyncio.sleep(POLL_S)
