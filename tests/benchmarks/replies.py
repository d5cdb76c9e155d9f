"""Replies of the query API as it ships: expensive ones kept and not kept, while playback is applied all the time and
while it is not; unchanged ones; and compressed ones. With the CPU of the process and of its connections in Postgres.
"""

import asyncio
import sys
from asyncio import create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Final, NamedTuple

import httpx
import msgspec
import psutil

from infra.access.permissions import Principal, Scope
from infra.access.tokens import Tokens
from infra.postgres import Pool, connect_pool
from tests.benchmarks import catalogue, open_loop
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.players import get
from tests.benchmarks.results import Line

TITLES: Final = 2_000
SECONDS: Final = 3
APPLIED_PER_S: Final = 50
"""Rounds of the Postgres projection: as many as fit while events come all the time."""
STARTS: Final = """
    insert into title_{table} (key, title_id, {at}, territory, {counted})
    select format('%s:%s', title_id, number), title_id, date_trunc('{at}', now(), 'UTC') - number * interval '1 {at}',
        'KR', {values}
    from catalog_titles, generate_series(0, {back}) as number where kind = 'episode'
    on conflict (key) do nothing
"""
QUALITY: Final = """
    insert into quality_by_hour
    select format('%s:%s:%s', hour, title, cdn), date_trunc('hour', now(), 'UTC') - hour * interval '1 hour',
        'title-' || title, 'tv', 'webos', 'cdn-' || cdn, '', '1.0', 'KR', {counts}
    from generate_series(0, 71) as hour, generate_series(1, 100) as title, generate_series(1, 5) as cdn
    on conflict (key) do nothing
"""
APPLY: Final = """
    insert into projection_checkpoint as held (projection, topic, partition, next_offset, position)
    values ('postgres', 'playback.events', 0, 1, 0)
    on conflict (projection, topic, partition) do update set next_offset = held.next_offset + 1
"""
BACKENDS: Final = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
FILL_S: Final = 300.0
RATES: Final = {"quality": 10, "popular": 50, "title": 300, "listing": 300}
"""Requests a second: what can be answered when nothing is kept."""
NO_LIMIT: Final = {"rate_query": "1000000 per 60 s"}

POPULAR: Final = "/v1/catalog/popular"
QUALITY_PATH: Final = "/v1/quality?group_by=cdn"
TITLE: Final = "/v1/catalog/titles/{}"
LISTING: Final = "/v1/catalog/titles?limit=100"


class LoadFailed(Exception):
    """The load could not be sent; its errors are above."""


class Cost(NamedTuple):
    """Of a request: the median of what it took, the CPU of the process, and that of its connections in Postgres."""

    p50_ms: float
    cpu_us: float
    postgres_us: float


class Asking(NamedTuple):
    """Who asks a server, and of what."""

    bench: Bench
    pool: Pool
    server: Child
    token: str


async def run(bench: Bench) -> list[Line]:
    """Lines for each kind of reply, kept and not kept; then for what is sent of one."""
    pool = await connect_pool(bench.settings, size=1)
    who = Principal(subject="bench", scopes=frozenset({Scope.CATALOG_READ, Scope.PLAYBACK_READ}))
    token = Tokens(bench.settings).mint_access(who)
    try:
        await _fill(bench, pool)
        title = TITLE.format(catalogue.title_ids(TITLES)[7])
        off = await _costs(bench, pool, token, title, kept=False)
        on = await _costs(bench, pool, token, title, kept=True)
        lines = [line for what, cost in on.items() for line in _compared(what, cost, off[what])]
        return lines + await _sent(bench, pool, token)
    finally:
        await pool.close()


async def _fill(bench: Bench, pool: Pool) -> None:
    with bench.stage(f"replies: {TITLES} titles", TITLES) as advance:
        await catalogue.write(pool, catalogue.VIEWS["titles"], catalogue.titles(TITLES), advance)
    with bench.stage("replies: what was watched of them", 1):
        by_hour = {"table": "audience_by_hour", "at": "hour", "counted": "plays, starts, watched_ms, completions"}
        await pool.execute(STARTS.format(**by_hour, back=47, values="2, 1 + number % 7, 1000, 0"), timeout=FILL_S)
        by_day = {"table": "starts_by_day", "at": "day", "counted": "starts"}
        await pool.execute(STARTS.format(**by_day, back=30, values="10 + number % 5"), timeout=FILL_S)
        await pool.execute(QUALITY.format(counts=", ".join(["1 + hour % 7"] * 16)), timeout=FILL_S)
        await pool.execute("analyze", timeout=FILL_S)


async def _costs(bench: Bench, pool: Pool, token: str, title: str, *, kept: bool) -> Mapping[str, Cost]:
    """Of each reply, from one server."""
    costs = {}
    async with running(
        bench, "query-api", *playhead("query-api"), port_setting="query_port", reply_cache=kept, **NO_LIMIT
    ) as server:
        asking = Asking(bench, pool, server, token)
        for what, path in (("popular", POPULAR), ("quality", QUALITY_PATH), ("title", title)):
            at = f"{what}, {RATES[what]} requests/s"
            costs[f"{at}, nothing is played"] = await _load(asking, what, path)
            async with _applying(pool):
                costs[f"{at}, events all the time"] = await _load(asking, what, path)
    return costs


async def _sent(bench: Bench, pool: Pool, token: str) -> list[Line]:
    """What is sent of a listing of 100 titles that is kept, and what it costs then."""
    lines = []
    async with running(bench, "query-api", *playhead("query-api"), port_setting="query_port", **NO_LIMIT) as server:
        asking = Asking(bench, pool, server, token)
        tag = (await _reply(asking, {"Accept-Encoding": ""})).headers["etag"]
        wanted = {"as it is": {"Accept-Encoding": ""}, "unchanged": {"Accept-Encoding": "", "If-None-Match": tag}}
        for coding in ("gzip", "br", "zstd"):
            wanted[coding] = {"Accept-Encoding": coding}
        for what, headers in wanted.items():
            size = int((await _reply(asking, headers)).headers.get("content-length", 0))
            cost = await _load(asking, "listing", LISTING, headers)
            lines.append(Line(f"replies: 100 titles, kept, {what}, bytes / CPU us", f"{size:,} / {cost.cpu_us:.0f}"))
    return lines


async def _reply(asking: Asking, headers: Mapping[str, str]) -> httpx.Response:
    url = f"http://127.0.0.1:{asking.server.port}{LISTING}"
    async with (
        httpx.AsyncClient() as client,
        client.stream("GET", url, headers={**headers, "Authorization": f"Bearer {asking.token}"}) as reply,
    ):
        return reply


async def _load(asking: Asking, what: str, path: str, headers: Mapping[str, str] | None = None) -> Cost:
    rate = RATES[what]
    file = asking.bench.settings.state_dir.absolute() / "replies.msgpack"
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    file.write_bytes(msgspec.msgpack.encode([_request(path, asking.token, more)]))
    with asking.bench.stage(f"replies: {what}, {rate} requests/s for {SECONDS} s", 1):
        await _send(asking.server, rate, 1, file)
        began_s, postgres_s = asking.server.cpu_s(), await _postgres_s(asking.pool)
        latencies = await _send(asking.server, rate, SECONDS, file)
        cpu_s, postgres_s = asking.server.cpu_s() - began_s, await _postgres_s(asking.pool) - postgres_s
    count = rate * SECONDS
    return Cost(latencies.p50_ms, cpu_s / count * 1e6, postgres_s / count * 1e6)


def _request(path: str, token: str, more: str) -> bytes:
    head, _, rest = get(path, token).partition(b"\r\n")
    return head + b"\r\n" + more.encode() + rest


async def _send(server: Child, rate: int, seconds: int, file: Path) -> open_loop.Latencies:
    arguments = map(str, (server.port, rate, seconds, file))
    load = await create_subprocess_exec(sys.executable, "-m", open_loop.__name__, *arguments, stdout=PIPE)
    said, _ = await load.communicate()
    if load.returncode:
        raise LoadFailed(f"the load ended with {load.returncode}")
    return msgspec.json.decode(said, type=open_loop.Latencies)


async def _postgres_s(pool: Pool) -> float:
    """The CPU that the connections to this database have used; those that ended meanwhile are not counted."""
    used = 0.0
    for row in await pool.fetch(BACKENDS):
        with suppress(psutil.Error):
            times = psutil.Process(row["pid"]).cpu_times()
            used += times.user + times.system
    return used


@asynccontextmanager
async def _applying(pool: Pool) -> AsyncIterator[None]:
    """While playback's checkpoint moves as it does when events come all the time."""

    async def move() -> None:
        while True:
            await pool.execute(APPLY)
            await asyncio.sleep(1 / APPLIED_PER_S)

    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.wait([moving])


def _compared(what: str, kept: Cost, read: Cost) -> list[Line]:
    at = f"replies: {what}, kept / not kept"
    return [
        Line(f"{at}, p50 ms", f"{kept.p50_ms:.1f}", f"{read.p50_ms:.1f}"),
        Line(f"{at}, CPU us", f"{kept.cpu_us:.0f}", f"{read.cpu_us:.0f}", f"{kept.cpu_us / read.cpu_us:.2f}"),
        Line(f"{at}, Postgres CPU us", f"{kept.postgres_us:.0f}", f"{read.postgres_us:.0f}"),
    ]
