"""Reads: what entitlements and a title's page take at 500 requests a second, from the query API as it ships."""

import sys
from asyncio import create_subprocess_exec
from pathlib import Path
from statistics import median
from subprocess import PIPE

import msgspec

from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.postgres import connect_pool
from tests.benchmarks import catalogue, open_loop
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import Child, playhead, running
from tests.benchmarks.players import get
from tests.benchmarks.results import Line

TITLES = 20_000
ACCOUNTS = 20_000
VIEWERS = 2_000
"""Of the accounts, those that ask, each with a token of its own."""
REQUESTS_PER_S = 500
WARM_UP_S = 5
SECONDS = 8
ROUNDS = 3
GOALS_P99_MS = {"entitlements": 30, "title": 50}


class LoadFailed(Exception):
    """The load could not be sent; its errors are above."""


async def run(bench: Bench) -> list[Line]:
    """Lines for both reads, taken in turn."""
    await _fill(bench)
    files = _request_files(bench)
    taken: dict[str, list[tuple[open_loop.Latencies, float]]] = {what: [] for what in files}
    async with running(bench, "query-api", *playhead("query-api"), port_setting="query_port") as server:
        for what, file in files.items():
            await _load(bench, server, f"{what}, warming up", WARM_UP_S, file)
        for _ in range(ROUNDS):
            for what, file in files.items():
                taken[what].append(await _load(bench, server, what, SECONDS, file))
    return [line for what, rounds in taken.items() for line in _lines(what, rounds)]


async def _fill(bench: Bench) -> None:
    pool, now = await connect_pool(bench.settings, size=1), utc_now()
    rows = {
        "titles": (TITLES + TITLES // catalogue.EPISODES, catalogue.titles(TITLES)),
        "subscriptions": (ACCOUNTS, catalogue.subscriptions(ACCOUNTS, now)),
        "purchases": (ACCOUNTS * catalogue.PURCHASES, catalogue.purchases(ACCOUNTS, now)),
    }
    try:
        for what, (count, each) in rows.items():
            with bench.stage(f"reads: {count} {what} into Postgres", count) as advance:
                await catalogue.write(pool, catalogue.VIEWS[what], each, advance)
        await pool.execute("analyze catalog_titles, subscriptions, subscription_purchases")
    finally:
        await pool.close()


def _request_files(bench: Bench) -> dict[str, Path]:
    tokens = Tokens(bench.settings)
    accounts = catalogue.account_ids(ACCOUNTS)[:: ACCOUNTS // VIEWERS]
    viewers = [tokens.mint_access(Principal(subject=each, account_id=each, profile_id=each)) for each in accounts]
    titles = catalogue.title_ids(TITLES)[7 :: TITLES // VIEWERS]
    requests = {
        "entitlements": [
            get(f"/v1/accounts/{account}/entitlements", token) for account, token in zip(accounts, viewers, strict=True)
        ],
        "title": [
            get(f"/v1/catalog/titles/{title_id}", token) for title_id, token in zip(titles, viewers, strict=True)
        ],
    }
    files = {what: bench.settings.state_dir.absolute() / f"reads-{what}.msgpack" for what in requests}
    for what, file in files.items():
        file.write_bytes(msgspec.msgpack.encode(requests[what]))
    return files


async def _load(bench: Bench, server: Child, what: str, seconds: int, file: Path) -> tuple[open_loop.Latencies, float]:
    """What the replies took, and the CPU that a request took of the server."""
    with bench.stage(f"reads: {what}, {REQUESTS_PER_S} requests/s for {seconds} s", 1):
        began_s = server.cpu_s()
        arguments = map(str, (server.port, REQUESTS_PER_S, seconds, file))
        load = await create_subprocess_exec(sys.executable, "-m", open_loop.__name__, *arguments, stdout=PIPE)
        said, _ = await load.communicate()
        if load.returncode:
            raise LoadFailed(f"the load of {what} ended with {load.returncode}")
        cpu_us = (server.cpu_s() - began_s) / (REQUESTS_PER_S * seconds) * 1e6
    return msgspec.json.decode(said, type=open_loop.Latencies), cpu_us


def _lines(what: str, rounds: list[tuple[open_loop.Latencies, float]]) -> list[Line]:
    def middle(name: str) -> float:
        return float(median(getattr(latencies, name) for latencies, _ in rounds))

    at = f"reads: {what}, {REQUESTS_PER_S} requests/s"
    p99_ms, goal_ms = middle("p99_ms"), GOALS_P99_MS[what]
    return [
        Line(f"{at}, p50 ms", f"{middle('p50_ms'):.1f}"),
        Line(f"{at}, p99 ms", f"{p99_ms:.1f}", goal=f"< {goal_ms}", met=p99_ms < goal_ms),
        Line(f"{at}, of which sent late by, p99 ms", f"{middle('late_p99_ms'):.1f}"),
        Line(f"{at}, CPU us a request", f"{median(cpu_us for _, cpu_us in rounds):.0f}"),
    ]
