"""Leases: the CPU that taking a place and renewing it takes, against a Lua call by redis-py that does the least: one
HSET and one PEXPIRE, a call for each step.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import process_time_ns
from typing import Final, NamedTuple

from redis.commands.core import AsyncScript

from commands.playback.grants import Grant
from commands.playback.leases import Ending, Leases, progress_of
from events.playback import SessionSnapshot, TerminatedBy
from infra import redis
from infra.clock import utc_now
from infra.ids import new_uuid
from infra.redis import Redis
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.ingest import CONNECTIONS, ROUNDS
from tests.benchmarks.results import Line, at_most

GOAL: Final = 1.5
SESSIONS: Final = 2_000
"""Sessions that take a place and renew it once, a round."""
BARE: Final = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('PEXPIRE', KEYS[1], ARGV[3])"
ENDING: Final = Ending(reason="replaced", by=TerminatedBy(), at=utc_now())

Step = Callable[[SessionSnapshot], Awaitable[object]]


class _Cost(NamedTuple):
    ours_us: float
    redis_us: float


async def run(bench: Bench) -> list[Line]:
    """A line for many sessions at a time, one for one after the other, and one for what it costs Redis."""
    client, untimed = redis.connect(bench.settings), redis.connect(bench.settings, is_timed=False)
    leases, bare = Leases(untimed, bench.settings), client.register_script(BARE)
    lease_ms = bench.settings.lease_s * 1_000

    async def of_ours(session: SessionSnapshot) -> None:
        await leases.claim(session, players.MAX_STREAMS, ENDING)
        grant = Grant(session=session, max_streams=players.MAX_STREAMS)
        await leases.renew(grant, progress_of([players.heartbeat(1, session.started_at)]))

    async def of_bare(session: SessionSnapshot) -> None:
        for until_ms in (lease_ms, 2 * lease_ms):
            await _call(bare, session, until_ms)

    lines = []
    for concurrency, goal in ((CONNECTIONS, GOAL), (1, None)):
        ours, theirs = await _compared(bench, client, (of_ours, of_bare), concurrency)
        what = f"leases: taken and renewed, {concurrency} at a time"
        lines.append(at_most(what, "CPU us", [c.ours_us for c in ours], [c.ours_us for c in theirs], goal))
        if goal is not None:
            lines.append(at_most(f"{what}, of Redis", "CPU us", *_of_redis(ours, theirs), None))
    await client.aclose()
    await untimed.aclose()
    return lines


def _of_redis(ours: list[_Cost], theirs: list[_Cost]) -> tuple[list[float], list[float]]:
    return [cost.redis_us for cost in ours], [cost.redis_us for cost in theirs]


async def _call(bare: AsyncScript, session: SessionSnapshot, until_ms: int) -> None:
    await bare(keys=[f"bench:{{{session.account_id}}}"], args=[session.session_id, until_ms, until_ms])


async def _compared(
    bench: Bench, client: Redis, steps: tuple[Step, Step], concurrency: int
) -> tuple[list[_Cost], list[_Cost]]:
    costs: tuple[list[_Cost], list[_Cost]] = ([], [])
    for step in steps:
        await _cost(client, step, concurrency)  # connections made, scripts loaded
    for _ in range(ROUNDS):
        for step, found in zip(steps, costs, strict=True):
            with bench.stage(f"leases: {SESSIONS} taken and renewed, {concurrency} at a time", 1):
                found.append(await _cost(client, step, concurrency))
    return costs


async def _cost(client: Redis, step: Step, concurrency: int) -> _Cost:
    first = new_uuid().int >> 64
    sessions = [players.session(first + number) for number in range(SESSIONS)]

    async def one_after_the_other(number: int) -> None:
        for session in sessions[number::concurrency]:
            await step(session)

    redis_s, began_ns = await _redis_cpu_s(client), process_time_ns()
    await asyncio.gather(*(one_after_the_other(number) for number in range(concurrency)))
    ours_us = (process_time_ns() - began_ns) / 1e3 / SESSIONS
    return _Cost(ours_us, (await _redis_cpu_s(client) - redis_s) * 1e6 / SESSIONS)


async def _redis_cpu_s(client: Redis) -> float:
    used = await client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
