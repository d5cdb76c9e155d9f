"""Publishing: how long after the 2xx of a published film its page is there, through the log, the relay and the real
processes, while viewers read other pages.
"""

import asyncio
from asyncio import create_subprocess_exec
from contextlib import suppress
from statistics import quantiles
from subprocess import PIPE
from sys import executable

import msgspec

from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.ids import new_id
from tests.benchmarks import open_loop, players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.connections import Connection, Refused, connections
from tests.benchmarks.results import Line

SECONDS = 20
PUBLISHED_PER_S = 10
READS_PER_S = 250
WARM_UP = 20
LOOK_EVERY_S = 0.002
GIVE_UP_S = 10.0
GOAL_P99_MS = 50
UNLIMITED = {"rate_query": "9999999 per 60 s"}
"""Everybody who reads here has one token."""
MOVIE = {
    "name": "Sintel",
    "synopsis": "A girl looks for her dragon.",
    "texts": {"ko": {"name": "신텔", "synopsis": "소녀와 용."}},
    "maturity": [{"system": "KR", "value": "12", "minimum_age": 12}],
    "duration_ms": 888_000,
    "availability": [{"territories": ["KR"], "starts_at": "2026-01-01T00:00:00+09:00"}],
}


class _Recorded(msgspec.Struct):
    id: str


_recorded = msgspec.json.Decoder(_Recorded)


class Editor:
    """Publishes films, and looks for their pages."""

    def __init__(self, bench: Bench) -> None:
        tokens = Tokens(bench.settings)
        self._editor = tokens.mint_access(Principal(subject="bench", roles=("editor",)))
        self._body = msgspec.json.encode(MOVIE)
        self.published: list[str] = []
        self.visible_ms: list[float] = []
        self.taken_ms: list[float] = []

    async def publish(self, writing: Connection, reading: Connection) -> None:
        """One film, until its page is there."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        key = f"Idempotency-Key: {new_id()}\r\n"
        reply = await writing.exchange(players.post("/v1/catalog/movies", self._editor, self._body, more=key))
        taken_s = loop.time()
        title_id = _recorded.decode(reply).id
        with suppress(TimeoutError):  # it then counts as that
            async with asyncio.timeout(GIVE_UP_S):
                while not await self._is_there(reading, title_id):
                    await asyncio.sleep(LOOK_EVERY_S)
        self.published.append(title_id)
        self.taken_ms.append((taken_s - began_s) * 1000)
        self.visible_ms.append((loop.time() - taken_s) * 1000)

    def page(self, title_id: str) -> bytes:
        """The request for a title's page."""
        return players.get(f"/v1/catalog/titles/{title_id}", self._editor)

    async def _is_there(self, reading: Connection, title_id: str) -> bool:
        try:
            await reading.exchange(self.page(title_id))
        except Refused:
            return False
        return True


async def run(bench: Bench) -> list[Line]:
    """Lines for p50 and p99."""
    editor = Editor(bench)
    async with (
        running(bench, "commands", *playhead("commands"), port_setting="commands_port") as commands,
        running(bench, "relay", *playhead("relay"), port_setting="probe_port"),
        running(bench, "projections postgres", *playhead("projections", "postgres"), port_setting="probe_port"),
        running(bench, "query-api", *playhead("query-api"), port_setting="query_port", **UNLIMITED) as query,
        connections(commands.port, 1) as [writing],
        connections(query.port, 1) as [reading],
    ):
        with bench.stage(f"publishing: {WARM_UP} films", WARM_UP) as advance:
            for _ in range(WARM_UP):
                await editor.publish(writing, reading)
                advance(1)
        file = bench.settings.state_dir.absolute() / "publishing.msgpack"
        file.write_bytes(msgspec.msgpack.encode([editor.page(title_id) for title_id in editor.published]))
        arguments = map(str, (query.port, READS_PER_S, SECONDS, file))
        others = await create_subprocess_exec(executable, "-m", open_loop.__name__, *arguments, stdout=PIPE)
        editor.visible_ms.clear()
        editor.taken_ms.clear()
        await _publish(bench, editor, writing, reading)
        await others.communicate()
    return _lines(editor)


async def _publish(bench: Bench, editor: Editor, writing: Connection, reading: Connection) -> None:
    """One after the other, each when it is due."""
    loop = asyncio.get_running_loop()
    began_s, total = loop.time(), SECONDS * PUBLISHED_PER_S
    what = f"publishing: {PUBLISHED_PER_S} films/s under {READS_PER_S} reads/s for {SECONDS} s"
    with bench.stage(what, total) as advance:
        for count in range(total):
            await asyncio.sleep(max(0.0, began_s + count / PUBLISHED_PER_S - loop.time()))
            await editor.publish(writing, reading)
            advance(1)


def _lines(editor: Editor) -> list[Line]:
    visible, taken = quantiles(editor.visible_ms, n=100), quantiles(editor.taken_ms, n=100)
    return [
        Line("publishing: 2xx of a film to its page, p50 ms", f"{visible[49]:.0f}"),
        Line(
            "publishing: 2xx of a film to its page, p99 ms",
            f"{visible[98]:.0f}",
            goal=f"< {GOAL_P99_MS}",
            met=visible[98] < GOAL_P99_MS,
        ),
        Line("publishing: the reply itself, p50 / p99 ms", f"{taken[49]:.0f} / {taken[98]:.0f}"),
    ]
