"""Ingest: the CPU that the commands process takes for a report, against a bare handler that does the same produce, and
against FastAPI and Pydantic doing the same work.
"""

from datetime import timedelta
from typing import NamedTuple

from infra.clock import utc_now
from infra.ids import new_uuid
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.results import Line, at_least, at_most


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
"""The sessions of this run are its own."""
FASTAPI_GOAL = 2.0
PLAN = (
    (Kind(1), 3_000, 2.0),
    (Kind(5), 2_000, 1.5),
    (Kind(5, is_gzip=True), 2_000, 1.5),
    (Kind(50), 500, 1.5),
)
"""Reports, how many of them a round, and the goal for the ratio to the bare handler."""


class Side:
    """One of those that are compared. Its players count their events up over all rounds, and stay within their title:
    none is a duplicate, and none is rejected.
    """

    def __init__(self, bench: Bench, server: Child) -> None:
        self._bench = bench
        self._server = server
        self._sessions = [players.session(FIRST_SESSION + number) for number in range(SESSIONS)]
        self._tokens = players.tokens_of(bench.settings, self._sessions, utc_now() + timedelta(hours=1))
        self._seq = 0

    async def cpu_us(self, kind: Kind, count: int) -> float:
        """What a report costs."""
        requests = players.reports(
            self._sessions, self._tokens, kind.size, count, utc_now(), is_gzip=kind.is_gzip, since=self._seq
        )
        self._seq += -(-count // SESSIONS) * kind.size
        with self._bench.stage(f"ingest: {count} times a {kind} to {self._server.name}", count) as advance:
            async with connections(self._server.port, CONNECTIONS) as made:
                before_s = self._server.cpu_s()
                await send_all(made, requests, advance)
                return (self._server.cpu_s() - before_s) / count * 1e6


async def run(bench: Bench) -> list[Line]:
    """Two lines for each kind of report."""
    port = "commands_port"
    async with (
        running(bench, "commands", *playhead("commands"), port_setting=port) as ours,
        running(bench, "bare", "-m", "tests.benchmarks.bare_ingest", port_setting=port) as bare,
        running(bench, "fastapi", "-m", "tests.benchmarks.fastapi_ingest", port_setting=port) as fastapi,
    ):
        sides = [Side(bench, each) for each in (ours, bare, fastapi)]
        for each in sides:  # connections made, tokens verified once, code paths warm
            await each.cpu_us(Kind(1), 2 * SESSIONS)
        lines = [line for plan in PLAN for line in await _compare(sides, *plan)]
    for name in ("bare", "fastapi"):
        del bench.peaks_mb[name]
    return lines


async def _compare(sides: list[Side], kind: Kind, count: int, goal: float) -> list[Line]:
    rounds = [[await each.cpu_us(kind, count) for each in sides] for _ in range(ROUNDS)]
    ours, bare, fastapi = (list(costs) for costs in zip(*rounds, strict=True))
    ours_per_s, fastapi_per_s = [1e6 / cost for cost in ours], [1e6 / cost for cost in fastapi]
    return [
        at_most(f"ingest: {kind}", "CPU us", ours, bare, goal),
        at_least(f"ingest: {kind}, beside FastAPI", "reports/CPU s", ours_per_s, fastapi_per_s, FASTAPI_GOAL),
    ]
