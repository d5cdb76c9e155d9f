"""Ingest: the CPU that the commands process takes for a report, against a bare handler that does the same produce."""

from datetime import timedelta

from infra.clock import utc_now
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.results import Line, at_most

SESSIONS = 500
CONNECTIONS = 32
ROUNDS = 5
PLAN = ((1, 3_000, 2.0), (5, 2_000, 1.5), (50, 300, None))
"""Events a report, reports a round, and the goal for the ratio."""


async def run(bench: Bench) -> list[Line]:
    """A line for each size of report."""
    async with (
        running(bench, "commands", *playhead("commands"), port_setting="commands_port") as ours,
        running(bench, "bare", "-m", "tests.benchmarks.bare_ingest", port_setting="commands_port") as bare,
    ):
        for each in (ours, bare):  # connections made, tokens verified once, code paths warm
            await _cpu_us(bench, each, size=1, count=2 * SESSIONS)
        lines = [await _compare(bench, ours, bare, size, count, goal) for size, count, goal in PLAN]
    del bench.peaks_mb["bare"]
    return lines


async def _compare(bench: Bench, ours: Child, bare: Child, size: int, count: int, goal: float | None) -> Line:
    costs: dict[str, list[float]] = {ours.name: [], bare.name: []}
    for _ in range(ROUNDS):
        for each in (ours, bare):
            costs[each.name].append(await _cpu_us(bench, each, size=size, count=count))
    what = f"ingest: report of {size} event{'s' * (size > 1)}"
    return at_most(what, "CPU us", costs[ours.name], costs[bare.name], goal)


async def _cpu_us(bench: Bench, server: Child, *, size: int, count: int) -> float:
    sessions = [players.session(number) for number in range(SESSIONS)]
    tokens = players.tokens_of(bench.settings, sessions, utc_now() + timedelta(hours=1))
    requests = players.reports(sessions, tokens, size, count, utc_now())
    with bench.stage(f"ingest: {count} reports of {size} to {server.name}", count) as advance:
        async with connections(server.port, CONNECTIONS) as made:
            before_s = server.cpu_s()
            await send_all(made, requests, advance)
            return (server.cpu_s() - before_s) / count * 1e6
