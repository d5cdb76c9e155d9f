"""Memory: what a commands process holds while it takes reports as fast as it can, minute after minute."""

import asyncio
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from events.playback import SessionSnapshot
from infra.clock import monotonic_s, utc_now
from infra.ids import new_uuid
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.connections import Connection, connections
from tests.benchmarks.results import Line

SIZE = 5
"""Events a report."""
SESSIONS = 2_000
NEW_SESSIONS = 20
"""Sessions that end, and that begin, from one round of reports to the next."""
CONNECTIONS = 32
SAMPLES_A_MINUTE = 6
SETTLED_AFTER = 0.2
"""The part of the time in which caches fill."""
GROWTH_MAX = 1.05
ROUNDS_OF_A_TITLE = 200


async def run(bench: Bench, minutes: float) -> list[Line]:
    """The curve, a line a minute, and whether it is flat once the caches are filled."""
    async with running(bench, "commands", *playhead("commands"), port_setting="commands_port") as commands:
        with bench.stage(f"memory: {minutes:g} minutes of reports", int(minutes * 60)) as advance:
            async with connections(commands.port, CONNECTIONS) as made:
                load = _Load(bench, made)
                loading = asyncio.create_task(load.run(monotonic_s() + minutes * 60))
                samples = []
                while not loading.done():
                    samples.append(commands.rss_mb())
                    await asyncio.wait([loading], timeout=60 / SAMPLES_A_MINUTE)
                    advance(60 // SAMPLES_A_MINUTE)
                await loading
    return [*_curve(samples), _verdict(samples), Line("memory: reports taken", f"{load.taken:,}")]


class _Load:
    """Every connection sends its next report as soon as it has its reply."""

    def __init__(self, bench: Bench, made: list[Connection]) -> None:
        self._bench = bench
        self._made = made
        self.taken = 0

    async def run(self, ends_s: float) -> None:
        """Send until then."""
        requests = self._requests()

        async def send(connection: Connection) -> None:
            while monotonic_s() < ends_s:
                await connection.exchange(next(requests))
                self.taken += 1

        await asyncio.gather(*map(send, self._made))

    def _requests(self) -> Iterator[bytes]:
        first = new_uuid().int >> 64
        watching: deque[tuple[SessionSnapshot, str]] = deque(maxlen=SESSIONS)
        for number in count():
            begun = NEW_SESSIONS if watching else SESSIONS
            sessions = [players.session(first + n) for n in range(begun)]
            first += begun
            expires_at = utc_now() + timedelta(hours=1)
            watching.extend(zip(sessions, players.tokens_of(self._bench.settings, sessions, expires_at), strict=True))
            seq, now = number % ROUNDS_OF_A_TITLE * SIZE, utc_now()
            events = [players.heartbeat(seq + n, now - timedelta(seconds=SIZE - n)) for n in range(SIZE)]
            for session, token in list(watching):
                yield players.report_request(session, token, events, now)


def _curve(samples: list[float]) -> list[Line]:
    return [
        Line(f"memory: commands after {minute} min, MB", f"{samples[minute * SAMPLES_A_MINUTE]:.1f}")
        for minute in range(len(samples) // SAMPLES_A_MINUTE + 1)
        if minute * SAMPLES_A_MINUTE < len(samples)
    ]


def _verdict(samples: list[float]) -> Line:
    settled = samples[int(len(samples) * SETTLED_AFTER) :]
    growth = max(settled[len(settled) // 2 :]) / max(settled[: len(settled) // 2])
    return Line(
        "memory: second half of the time beside the first, once settled",
        f"{max(settled):.1f} MB",
        ratio=f"{growth:.3f}",
        goal=f"<= {GROWTH_MAX:g}",
        met=growth <= GROWTH_MAX,
    )
