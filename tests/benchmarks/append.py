"""Append: how long one command takes from handle() to its commit, how many there are a second, and the CPU that each
takes of the process that decides.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from statistics import median, quantiles
from typing import NamedTuple

from commands.handling import Handling, Target
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.postgres import connect_pool
from tests.benchmarks.bench import Advance, Bench
from tests.benchmarks.renewals import in_turn, renew, streams
from tests.benchmarks.results import Line

COUNT = 1_500
WRITERS = 16
ROUNDS = 3
EACH = 10
"""Appends to a cold stream: its last one reads nine events."""


class Appended(NamedTuple):
    """What one round of appends took."""

    p50_ms: float
    p99_ms: float
    per_s: float
    cpu_us: float


async def run(bench: Bench) -> list[Line]:
    """Lines for one writer and for many, on cold streams and on hot ones."""
    lines = []
    for what, writers, hot in (
        ("1 writer, cold streams", 1, False),
        (f"{WRITERS} writers, cold streams", WRITERS, False),
        (f"{WRITERS} writers, every second on one stream", WRITERS, True),
    ):
        rounds = [await _round(bench, what, writers, hot=hot) for _ in range(ROUNDS)]
        lines += _lines(what, Appended(*(median(each) for each in zip(*rounds, strict=True))))
    return lines


async def _round(bench: Bench, what: str, writers: int, *, hot: bool) -> Appended:
    pool = await connect_pool(bench.settings, size=writers)
    handling = Handling(EventLog(pool, bench.settings), utc_now)
    targets = in_turn(streams(COUNT // EACH), EACH)
    try:
        await append_all(handling, in_turn(streams(writers), 10), writers)  # connections made, statements prepared
        with bench.stage(f"append: {what}", COUNT) as advance:
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            latencies_s = await append_all(handling, _half_on_one(targets) if hot else targets, writers, advance)
            took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    finally:
        await pool.close()
    percentiles = quantiles(latencies_s, n=100)
    count = len(latencies_s)
    return Appended(percentiles[49] * 1e3, percentiles[98] * 1e3, count / took_s, cpu_s / count * 1e6)


def _half_on_one(targets: Iterator[Target]) -> Iterator[Target]:
    """Every second target is the same, which takes as many appends as the most that a stream is read back for."""
    [hot] = streams(1)
    cold = islice(targets, COUNT // 2)
    return chain.from_iterable((hot, each) for each in cold)


async def append_all(
    handling: Handling, targets: Iterable[Target], writers: int, advance: Advance = lambda _: None
) -> list[float]:
    """Append to each, so many at a time; the seconds that each took."""
    waiting = iter(targets)
    latencies_s: list[float] = []

    async def write() -> None:
        for target in waiting:
            began_s = time.perf_counter()
            await renew(handling, target)
            latencies_s.append(time.perf_counter() - began_s)
            advance(1)

    await asyncio.gather(*(write() for _ in range(writers)))
    return latencies_s


def _lines(what: str, appended: Appended) -> list[Line]:
    return [
        Line(f"append: {what}, p50 ms", f"{appended.p50_ms:.1f}"),
        Line(f"append: {what}, p99 ms", f"{appended.p99_ms:.1f}"),
        Line(f"append: {what}, appends/s", f"{appended.per_s:,.0f}"),
        Line(f"append: {what}, CPU us an append", f"{appended.cpu_us:.0f}"),
    ]
