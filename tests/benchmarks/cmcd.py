"""CMCD: the CPU that the commands process takes for what players of other makers send, against a bare handler."""

from datetime import timedelta
from itertools import count
from typing import Final

from events.playback import SessionSnapshot
from infra.clock import utc_now
from tests.benchmarks import players
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.connections import connections, send_all
from tests.benchmarks.ingest import CONNECTIONS, FIRST_SESSION, ROUNDS, SESSIONS
from tests.benchmarks.results import Line, at_most

TIME: Final = 'bl=(7900),br=(566),cid="a",e=t,mtp=(46300),sf=h,sid="{sid}",sn={sn},st=v,sta=p,ts={ts},v=2\n'
RESPONSE: Final = (
    'bl=(7900),br=(566),cid="a",e=rr,mtp=(46300),rc=200,sf=h,sid="{sid}",sn={sn},st=v,sta=p,ts={ts},ttfb=9,ttlb=14,'
    'url="https://cdn.example/{sid}/segment-{sn}.m4s",v=2\n'
)
"""As hls.js sends them: a response for each segment, and the time in between."""
HEAD: Final = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/cmcd\r\nContent-Length: {size}\r\n\r\n"
)
NUMBERS: Final = count(step=1_000)
"""The numbers of each round: nothing comes twice."""
PLAN: Final = ((1, 3_000, 2.0), (5, 2_000, 1.5))
"""Lines, bodies a round, and the goal for the ratio."""


async def run(bench: Bench) -> list[Line]:
    """A line for each size of batch."""
    async with (
        running(bench, "commands", *playhead("commands"), port_setting="commands_port") as ours,
        running(bench, "bare", "-m", "tests.benchmarks.bare_cmcd", port_setting="commands_port") as bare,
    ):
        for each in (ours, bare):  # connections made, tokens verified once, code paths warm
            await _cpu_us(bench, each, 1, 2 * SESSIONS)
        lines = [await _compare(bench, ours, bare, size, bodies, goal) for size, bodies, goal in PLAN]
    del bench.peaks_mb["bare"]
    return lines


async def _compare(bench: Bench, ours: Child, bare: Child, size: int, bodies: int, goal: float) -> Line:
    costs: dict[str, list[float]] = {ours.name: [], bare.name: []}
    for _ in range(ROUNDS):
        for each in (ours, bare):
            costs[each.name].append(await _cpu_us(bench, each, size, bodies))
    what = f"CMCD: body of {size} line{'s' * (size > 1)}"
    return at_most(what, "CPU us", costs[ours.name], costs[bare.name], goal)


async def _cpu_us(bench: Bench, server: Child, size: int, bodies: int) -> float:
    sessions = [players.session(FIRST_SESSION + number) for number in range(SESSIONS)]
    tokens = players.tokens_of(bench.settings, sessions, utc_now() + timedelta(hours=1))
    since, ts = next(NUMBERS), int(utc_now().timestamp() * 1_000)
    requests = []
    for number in range(bodies):
        who, first = number % SESSIONS, since + number // SESSIONS * size
        requests.append(_request(sessions[who], tokens[who], range(first, first + size), ts))
    with bench.stage(f"CMCD: {bodies} bodies of {size} to {server.name}", bodies) as advance:
        async with connections(server.port, CONNECTIONS) as made:
            before_s = server.cpu_s()
            await send_all(made, requests, advance)
            return (server.cpu_s() - before_s) / bodies * 1e6


def _request(of: SessionSnapshot, token: str, numbers: range, ts: int) -> bytes:
    kinds = [TIME if sn % 5 == 0 else RESPONSE for sn in numbers]
    lines = (kind.format(sid=of.session_id, sn=sn, ts=ts + sn) for kind, sn in zip(kinds, numbers, strict=True))
    body = "".join(lines).encode()
    path = f"/v1/playback/sessions/{of.session_id}/cmcd?token={token}"
    return HEAD.format(path=path, size=len(body)).encode() + body
