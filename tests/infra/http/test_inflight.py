"""How many bytes of bodies a process holds: over real sockets, by the uvicorn that serves both APIs."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI, Request

from infra.http import problems
from infra.http.declared import Public
from infra.http.inflight import HELD
from infra.http.perimeter import fence
from infra.http.rate_limiting import count_caller
from infra.http.request_bounds import inflated_body
from infra.http.server import config_of
from infra.settings import MIB, Settings

MOST: Final = 4 * MIB
OF_ONE: Final = 2 * MIB
HALF: Final = MIB // 2


def app_of(settings: Settings, leave: asyncio.Event) -> FastAPI:
    app = FastAPI(openapi_url=None, dependencies=[Depends(Public("a test"))])
    fence(app, settings)
    problems.install(app, {})

    @app.post("/v1/held/{who}")
    async def held(request: Request, who: str) -> int:
        count_caller(request.scope, who)
        size = len(await inflated_body(request))
        await leave.wait()
        return size

    return app


class Held:
    """Requests whose bodies are held until they are let go."""

    def __init__(self, client: httpx.AsyncClient, leave: asyncio.Event) -> None:
        self._client = client
        self._leave = leave
        self._waiting: list[asyncio.Task[httpx.Response]] = []

    def send(self, who: str, body: bytes, **headers: str) -> "asyncio.Task[httpx.Response]":
        task = asyncio.create_task(self._client.post(f"/v1/held/{who}", content=body, headers=headers))
        self._waiting.append(task)
        return task

    async def until_held(self, size: int) -> None:
        async with asyncio.timeout(5):
            while held_bytes() != size:
                await asyncio.sleep(0.005)

    async def let_go(self) -> list[int]:
        self._leave.set()
        return [reply.status_code for reply in await asyncio.gather(*self._waiting)]


def held_bytes() -> float:
    [sample] = [sample for metric in HELD.collect() for sample in metric.samples]
    return sample.value


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    async with _held(tmp_path) as held:
        yield held


@asynccontextmanager
async def _held(tmp_path: Path) -> AsyncIterator[Held]:
    settings = Settings(
        state_dir=tmp_path, ingest_inflight_max_bytes=MOST, ingest_inflight_key_max_bytes=OF_ONE, retry_after_s=3
    )
    leave = asyncio.Event()
    server = uvicorn.Server(config_of(app_of(settings, leave), settings, port=0))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            yield Held(client, leave)
        finally:
            leave.set()
            server.should_exit = True
            await task


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(64 * 1024)


async def test_a_body_too_many_is_refused_before_it_is_read_and_the_others_are_served(held: Held) -> None:
    for number in range(7):
        held.send(f"session-{number}", bytes(HALF))
    await held.until_held(7 * HALF)
    refused = await held.send("session-8", bytes(HALF + 1))
    assert problem(refused) == (503, "overloaded")
    assert refused.headers["retry-after"] == "3"
    assert refused.headers["connection"] == "close"
    assert await held.let_go() == [200] * 7 + [503]
    assert held_bytes() == 0


async def test_who_sends_too_much_at_a_time_is_refused_alone(held: Held) -> None:
    for _ in range(4):
        held.send("hot", bytes(HALF))
    await held.until_held(4 * HALF)
    refused = await held.send("hot", b"x")
    assert problem(refused) == (429, "too-much-in-flight")
    assert refused.headers["retry-after"] == "3"
    held.send("cold", bytes(HALF))
    await held.until_held(5 * HALF)
    assert await held.let_go() == [200] * 4 + [429, 200]


async def test_a_body_without_a_length_counts_as_it_comes(held: Held) -> None:
    for number in range(4):
        held.send(f"session-{number}", bytes(HALF))
    for number in range(3):
        held.send(f"session-{number}", bytes(HALF))
    await held.until_held(7 * HALF)
    task = asyncio.create_task(held._client.post("/v1/held/chunked", content=chunks(9)))
    assert problem(await task) == (503, "overloaded")
    assert await held.let_go() == [200] * 7


async def test_an_inflated_body_counts_as_what_it_came_to(held: Held) -> None:
    for _ in range(2):
        held.send("hot", gzip.compress(bytes(900_000)), **{"Content-Encoding": "gzip"})
    async with asyncio.timeout(5):
        while held_bytes() < 1_800_000:
            await asyncio.sleep(0.005)
    refused = await held.send("hot", gzip.compress(bytes(900_000)), **{"Content-Encoding": "gzip"})
    assert problem(refused) == (429, "too-much-in-flight")
    assert await held.let_go() == [200, 200, 429]
    assert held_bytes() == 0


async def test_room_is_given_back_however_a_request_ends(held: Held) -> None:
    sent = held.send("gone", bytes(HALF))
    await held.until_held(HALF)
    sent.cancel()
    held._waiting.clear()
    await held.let_go()
    await held.until_held(0)
