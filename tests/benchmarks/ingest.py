"""Ingest: the CPU that the commands process takes for a report, against a bare handler that does the same produce."""

from datetime import timedelta
from itertools import count
from typing import NamedTuple

from infra.clock import utc_now
from infra.ids import new_uuid
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.results import Line, at_most


class Kind(NamedTuple):
    """What reports are sent: how many events in each, and whether compressed."""

    size: int
    is_gzip: bool = False

    def __str__(self) -> str:
        return f"report of {self.size} event{'s' * (self.size > 1)}{', gzip' * self.is_gzip}"


SESSIONS = 500
CONNECTIONS = 32
ROUNDS = 5
FIRST_SESSION = new_uuid().int >> 64
SEQS = count(step=100)
"""Sessions of this run, and seqs of each round: nothing is a duplicate."""
PLAN = (
    (Kind(1), 3_000, 2.0),
    (Kind(5), 2_000, 1.5),
    (Kind(5, is_gzip=True), 2_000, 1.5),
    (Kind(50), 300, None),
)
"""Reports, how many of them a round, and the goal for the ratio."""


async def run(bench: Bench) -> list[Line]:
    """A line for each kind of report."""
    async with (
        running(bench, "commands", *playhead("commands"), port_setting="commands_port") as ours,
        running(bench, "bare", "-m", "tests.benchmarks.bare_ingest", port_setting="commands_port") as bare,
    ):
        for each in (ours, bare):  # connections made, tokens verified once, code paths warm
            await _cpu_us(bench, each, Kind(1), 2 * SESSIONS)
        lines = [await _compare(bench, ours, bare, kind, count, goal) for kind, count, goal in PLAN]
    del bench.peaks_mb["bare"]
    return lines


async def _compare(bench: Bench, ours: Child, bare: Child, kind: Kind, count: int, goal: float | None) -> Line:
    costs: dict[str, list[float]] = {ours.name: [], bare.name: []}
    for _ in range(ROUNDS):
        for each in (ours, bare):
            costs[each.name].append(await _cpu_us(bench, each, kind, count))
    return at_most(f"ingest: {kind}", "CPU us", costs[ours.name], costs[bare.name], goal)


async def _cpu_us(bench: Bench, server: Child, kind: Kind, count: int) -> float:
    sessions = [players.session(FIRST_SESSION + number) for number in range(SESSIONS)]
    tokens = players.tokens_of(bench.settings, sessions, utc_now() + timedelta(hours=1))
    requests = players.reports(sessions, tokens, kind.size, count, utc_now(), is_gzip=kind.is_gzip, since=next(SEQS))
    with bench.stage(f"ingest: {count} times a {kind} to {server.name}", count) as advance:
        async with connections(server.port, CONNECTIONS) as made:
            before_s = server.cpu_s()
            await send_all(made, requests, advance)
            return (server.cpu_s() - before_s) / count * 1e6
