"""The demo's client against an API that is busy, gone, or slow to show."""

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.positions import Position
from playhead.demo import api
from playhead.demo.api import Api, NotTaken, connect


class Busy:
    """Gives these answers in turn, and the last of them for ever; remembers what it was sent."""

    def __init__(self, *answers: Callable[[], web.Response]) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        try:
            return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()
        except ConnectionAbortedError:
            assert request.transport is not None
            request.transport.close()
            raise


def unavailable() -> web.Response:
    return web.Response(status=503, headers={"Retry-After": "0"})


def taken() -> web.Response:
    return web.json_response({"results": []}, headers={"Playhead-Position": "playback.events:1:7"})


@pytest.fixture
async def speak() -> AsyncIterator[Callable[[Busy, float], Api]]:
    """Makes a client of an API that answers so."""
    app = web.Application()
    busy: list[Busy] = []

    async def answer(request: web.Request) -> web.Response:
        return await busy[0].answer(request)

    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, connect() as session:

        def client(answering: Busy, patience_s: float = 5.0) -> Api:
            busy.append(answering)
            return Api(session, str(server.make_url("")).rstrip("/"), patience_s)

        yield client


async def test_a_report_that_gets_503_is_sent_again_with_a_fresh_body(speak: Callable[..., Api]) -> None:
    busy = Busy(unavailable, unavailable, taken)
    fresh = iter([b"first", b"second", b"third"])
    reply = await speak(busy).post("/events", "token", lambda: next(fresh))
    assert (reply.status, reply.tries) == (200, 3)
    assert busy.bodies == [b"first", b"second", b"third"]
    assert reply.positions == (Position("playback.events", 1, 7),)


async def test_what_is_refused_for_good_is_not_sent_again(speak: Callable[..., Api]) -> None:
    busy = Busy(lambda: web.Response(status=422))
    assert (await speak(busy).post("/events", "token", lambda: b"{}")).status == 422
    assert len(busy.bodies) == 1


async def test_patience_ends(speak: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "DEFAULT_PAUSE_S", 0.01)
    with pytest.raises(NotTaken, match="503"):
        await speak(Busy(unavailable), 0.05).post("/events", "token", lambda: b"{}")


async def test_a_connection_that_breaks_is_tried_again(speak: Callable[..., Api]) -> None:
    def broken() -> web.Response:
        raise ConnectionAbortedError

    busy = Busy(broken, taken)
    assert (await speak(busy).post("/events", "token", lambda: b"{}")).tries == 2


async def test_a_query_that_waits_sends_the_positions_that_it_waits_for(speak: Callable[..., Api]) -> None:
    busy = Busy(unavailable, taken)
    positions = [Position("playback.events", partition, 5) for partition in range(20)]
    await speak(busy).reached("/view", "token", positions)
    sent = [headers["Playhead-Position"].count(",") + 1 for headers in busy.headers]
    assert sent == [16, 16, 4]


async def test_all_pages_of_a_listing_are_read(speak: Callable[..., Api]) -> None:
    busy = Busy(
        lambda: web.json_response({"items": [{"n": 1}], "next_cursor": "on"}),
        lambda: web.json_response({"items": [], "next_cursor": "further"}),
        lambda: web.json_response({"items": [{"n": 2}], "next_cursor": None}),
    )
    assert [item["n"] async for item in speak(busy).items("/list", "token")] == [1, 2]
