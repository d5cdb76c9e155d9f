"""Freshness: how long after the 2xx of a report its position is visible in continue watching, under load, through the
real processes.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from statistics import quantiles

import msgspec

from commands.playback.reports import ReportBody
from events.playback import SessionSnapshot, Started
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.connections import Connection, connections, send_all
from tests.benchmarks.results import Line

SESSIONS = 1_000
SECONDS = 20
REPORTS_PER_S = 500
SAMPLE_ONE_IN = 20
CONNECTIONS = 64
LOOK_EVERY_S = 0.005
GIVE_UP_S = 10.0
CATCH_UP_S = 120.0
GOAL_P99_MS = 100
WATCHED_MS = 300_000  # before the load begins: enough for a bookmark


class _Item(msgspec.Struct):
    position_ms: int


class _Shown(msgspec.Struct):
    items: list[_Item]


_shown = msgspec.json.Decoder(_Shown)


class Evening:
    """The viewers of one run, and what they saw. Each session belongs to a profile of its own."""

    def __init__(self, bench: Bench) -> None:
        self.began_at = utc_now()
        first = int(self.began_at.timestamp()) * SESSIONS  # no profile has a row of another run
        self.sessions = [players.session(first + number) for number in range(SESSIONS)]
        self.tokens = players.tokens_of(bench.settings, self.sessions, utc_now() + timedelta(hours=1))
        self._access = Tokens(bench.settings)
        self.fresh_ms: list[float] = []
        self.taken_ms: list[float] = []
        self.late_s: list[float] = []

    def first_reports(self) -> list[bytes]:
        """Five minutes already watched in every session."""
        return [self._first_report(number) for number in range(SESSIONS)]

    def _first_report(self, number: int) -> bytes:
        begun = self.began_at - timedelta(milliseconds=WATCHED_MS)
        events = [
            Started(seq=0, at=begun, position_ms=0),
            players.heartbeat(1, self.began_at, WATCHED_MS),
        ]
        body = msgspec.json.encode(ReportBody(self.began_at, events))
        path = players.PATH.format(self.sessions[number].session_id)
        return players.post(path, self.tokens[number], body)

    def report(self, count: int) -> tuple[bytes, int]:
        """The count-th report of the load, and the position that it brings."""
        number, turn = count % SESSIONS, count // SESSIONS
        position_ms = WATCHED_MS + 1_000 * (turn + 1)
        now = utc_now()
        beat = players.heartbeat(2 + turn, now, position_ms)
        return players.report_request(self.sessions[number], self.tokens[number], [beat], now), position_ms

    def question(self, count: int) -> bytes:
        """A viewer's question for what to go on with."""
        of = self.sessions[count % SESSIONS]
        return players.get(f"/v1/profiles/{of.profile_id}/continue-watching", self._access.mint_access(_viewer(of)))


async def run(bench: Bench) -> list[Line]:
    """Lines for p50 and p99."""
    evening = Evening(bench)
    async with (
        running(bench, "commands", *playhead("commands"), port_setting="commands_port") as commands,
        running(bench, "projections redis", *playhead("projections", "redis"), port_setting="probe_port"),
        running(bench, "query-api", *playhead("query-api"), port_setting="query_port") as query,
        connections(commands.port, CONNECTIONS) as writing,
        connections(query.port, CONNECTIONS) as reading,
    ):
        with bench.stage(f"freshness: {SESSIONS} sessions begin", SESSIONS) as advance:
            await send_all(writing, evening.first_reports(), advance)
            for number in range(SESSIONS):  # what lay in Kafka before is behind us then
                await _visible(reading[0], evening.question(number), WATCHED_MS, within_s=CATCH_UP_S)
        await _load(bench, evening, writing, reading)
    return _lines(evening)


async def _load(bench: Bench, evening: Evening, writing: list[Connection], reading: list[Connection]) -> None:
    """Reports at an even rate, whatever the replies do, and a look for one in SAMPLE_ONE_IN."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    looking: asyncio.Queue[Connection] = asyncio.Queue()
    for pool, made in ((idle, writing), (looking, reading)):
        for connection in made:
            pool.put_nowait(connection)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    total = SECONDS * REPORTS_PER_S
    with bench.stage(f"freshness: {REPORTS_PER_S} reports/s for {SECONDS} s", total) as advance:
        async with asyncio.TaskGroup() as tasks:
            for count in range(total):
                due_s = began_s + count / REPORTS_PER_S
                if due_s > loop.time():
                    await asyncio.sleep(due_s - loop.time())
                evening.late_s.append(loop.time() - due_s)
                tasks.create_task(_report(evening, count, idle, looking))
                advance(1)


async def _report(
    evening: Evening, count: int, idle: "asyncio.Queue[Connection]", looking: "asyncio.Queue[Connection]"
) -> None:
    connection = await idle.get()
    request, position_ms = evening.report(count)
    sent_s = asyncio.get_running_loop().time()
    await connection.exchange(request)
    acknowledged_s = asyncio.get_running_loop().time()
    evening.taken_ms.append((acknowledged_s - sent_s) * 1000)
    idle.put_nowait(connection)
    if count % SAMPLE_ONE_IN == 0:
        question = evening.question(count)
        viewer = await looking.get()
        await _visible(viewer, question, position_ms, within_s=GIVE_UP_S)
        evening.fresh_ms.append((asyncio.get_running_loop().time() - acknowledged_s) * 1000)
        looking.put_nowait(viewer)


async def _visible(connection: Connection, question: bytes, position_ms: int, *, within_s: float) -> None:
    """Ask until the position, or a later one, is there."""
    with suppress(TimeoutError):  # it then counts as that
        async with asyncio.timeout(within_s):
            while not any(item.position_ms >= position_ms for item in await _items(connection, question)):
                await asyncio.sleep(LOOK_EVERY_S)


async def _items(connection: Connection, question: bytes) -> list[_Item]:
    return _shown.decode(await connection.exchange(question)).items


def _viewer(of: SessionSnapshot) -> Principal:
    return Principal(subject=of.profile_id, account_id=of.account_id, profile_id=of.profile_id)


def _lines(evening: Evening) -> list[Line]:
    percentiles = quantiles(evening.fresh_ms, n=100)
    taken = quantiles(evening.taken_ms, n=100)
    late_ms = quantiles(evening.late_s, n=100)[98] * 1000
    what = f"freshness: 2xx to visible, {REPORTS_PER_S} reports/s"
    return [
        Line(f"{what}, p50 ms", f"{percentiles[49]:.0f}"),
        Line(f"{what}, p99 ms", f"{percentiles[98]:.0f}", "", "", f"< {GOAL_P99_MS}", percentiles[98] < GOAL_P99_MS),
        Line("freshness: the reply itself, p50 / p99 ms", f"{taken[49]:.0f} / {taken[98]:.0f}"),
        Line("freshness: the load itself was behind its schedule by, p99 ms", f"{late_ms:.0f}"),
    ]
