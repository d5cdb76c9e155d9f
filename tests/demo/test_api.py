"""The demo's client against an API that is busy, gone, or slow to show."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from infra.positions import Position
from playhead.demo import api
from playhead.demo.api import Api, NotTaken, Refused, Reply, Ticket
from tests.demo.answering import Busy

TOKEN = Ticket("token", "2001:db8::1")


def unavailable() -> web.Response:
    return web.Response(status=503, headers={"Retry-After": "0"})


def unauthenticated() -> web.Response:
    return web.Response(status=401)


def taken() -> web.Response:
    return web.json_response({"results": []}, headers={"Playhead-Position": "playback.events:1:7"})


async def test_a_report_that_gets_503_is_sent_again_with_a_fresh_body(speak: Callable[..., Api]) -> None:
    busy = Busy(unavailable, unavailable, taken)
    fresh = iter([b"first", b"second", b"third"])
    reply = await speak(busy).post("/events", TOKEN, lambda: next(fresh))
    assert (reply.status, reply.tries) == (200, 3)
    assert busy.bodies == [b"first", b"second", b"third"]
    assert reply.positions == (Position("playback.events", 1, 7),)


async def test_what_is_refused_for_good_is_not_sent_again(speak: Callable[..., Api]) -> None:
    busy = Busy(lambda: web.Response(status=422))
    assert (await speak(busy).post("/events", TOKEN, lambda: b"{}")).status == 422
    assert len(busy.bodies) == 1


async def test_whom_a_request_is_for_is_said_with_it_and_a_stranger_shows_no_token(speak: Callable[..., Api]) -> None:
    busy = Busy(taken)
    client = speak(busy)
    await client.post("/events", TOKEN, lambda: b"{}")
    await client.get("/view", Ticket("", "2001:db8::2"))
    first, second = busy.headers
    assert (first["Authorization"], first["X-Forwarded-For"]) == ("Bearer token", "2001:db8::1")
    assert ("Authorization" in second, second["X-Forwarded-For"]) == (False, "2001:db8::2")


@dataclass
class App:
    """A bearer whose token can be renewed so often."""

    left: int
    token: str = "token"
    address: str = "2001:db8::3"

    async def renew(self, refused: str) -> bool:
        assert refused == self.token
        self.left -= 1
        self.token = f"{refused}, renewed"
        return self.left >= 0


async def test_an_app_whose_token_is_not_taken_renews_it_and_asks_once_more(speak: Callable[..., Api]) -> None:
    busy = Busy(unauthenticated, taken)
    assert (await speak(busy).post("/events", App(1), lambda: b"{}")).status == 200
    assert [headers["Authorization"] for headers in busy.headers] == ["Bearer token", "Bearer token, renewed"]


@pytest.mark.parametrize(("renewals", "asked"), [(0, 1), (5, 2)])
async def test_an_app_that_is_out_asks_no_more_than_twice(speak: Callable[..., Api], renewals: int, asked: int) -> None:
    busy = Busy(unauthenticated)
    assert (await speak(busy).get("/view", App(renewals))).status == 401
    assert len(busy.bodies) == asked


async def test_answers_that_ask_to_wait_for_a_limit_are_counted(speak: Callable[..., Api]) -> None:
    busy = Busy(lambda: web.Response(status=429, headers={"Retry-After": "0"}), unavailable, taken)
    client = speak(busy)
    await client.get("/view", TOKEN)
    assert client.limited == 1


def test_a_refusal_is_only_what_it_must_be() -> None:
    refused = Reply(403, b'{"type": "https://playhead.example/problems/pin-required"}', (), 0.0)
    assert refused.refuses(403, "pin-required")
    assert not refused.refuses(403, "required")
    assert not refused.refuses(410, "pin-required")
    with pytest.raises(Refused, match=r"a film: 403 .*pin-required"):
        refused.taken("a film", 200, 201)


async def test_patience_ends(speak: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "DEFAULT_PAUSE_S", 0.01)
    with pytest.raises(NotTaken, match="503"):
        await speak(Busy(unavailable), 0.05).post("/events", TOKEN, lambda: b"{}")


async def test_a_connection_that_breaks_is_tried_again(speak: Callable[..., Api]) -> None:
    def broken() -> web.Response:
        raise ConnectionAbortedError

    busy = Busy(broken, taken)
    assert (await speak(busy).post("/events", TOKEN, lambda: b"{}")).tries == 2


async def test_a_query_that_waits_sends_the_positions_that_it_waits_for(speak: Callable[..., Api]) -> None:
    busy = Busy(unavailable, taken)
    positions = [Position("playback.events", partition, 5) for partition in range(20)]
    await speak(busy).reached("/view", TOKEN, positions)
    sent = [headers["Playhead-Position"].count(",") + 1 for headers in busy.headers]
    assert sent == [16, 16, 4]


async def test_all_pages_of_a_listing_are_read(speak: Callable[..., Api]) -> None:
    busy = Busy(
        lambda: web.json_response({"items": [{"n": 1}], "next_cursor": "on"}),
        lambda: web.json_response({"items": [], "next_cursor": "further"}),
        lambda: web.json_response({"items": [{"n": 2}], "next_cursor": None}),
    )
    assert [item["n"] async for item in speak(busy).items("/list", TOKEN)] == [1, 2]
