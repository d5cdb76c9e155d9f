"""Streams of events, behind the perimeter and over real sockets; what they are about is made up here."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request

from infra.http import problems
from infra.http.perimeter import fence
from infra.http.server import config_of
from infra.settings import Settings
from query_api.live import ids
from query_api.live.feed import Feed
from query_api.live.places import STREAMS_FULL, TOO_MANY_STREAMS, Places, StreamsFull, TooManyStreams
from query_api.live.readings import Lag, Reading, TitleViewers, Topic, Viewers
from query_api.live.streams import Asked, LiveStream
from query_api.stores import StoreUnavailable
from tests.query_api.live.listening import Received, listening

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 30.0
INTERVAL_MS = 50


@dataclass
class Evening:
    """What streams are about: `said` numbers the readings. What `breaks` raises, reading raises."""

    settings: Settings
    said: int = 0
    titles: list[TitleViewers] = field(default_factory=list)
    breaks: Callable[[], Exception] | None = None
    is_let_in: bool = True

    def __post_init__(self) -> None:
        self.places = Places(self.settings)
        self.feeds = [Feed(Topic.VIEWERS, self.viewers, self.settings), Feed(Topic.LAG, self.lag, self.settings)]

    async def viewers(self) -> Reading:
        if self.breaks is not None:
            raise self.breaks()
        self.said += 1
        return Viewers(NOW, self.said, len(self.titles), self.titles)

    async def lag(self) -> Reading:
        return Lag(NOW, None, [])

    def stream(self, caller: str, after: str | None = None, topics: str = "viewers") -> LiveStream:
        async def is_still_let_in() -> bool:
            return self.is_let_in

        named = [Topic(each) for each in topics.split(",")]
        asked = Asked(caller=caller, topics=named, after=after, titles=(), is_still_let_in=is_still_let_in)
        return LiveStream(asked, [each for each in self.feeds if each.topic in named], self.places, self.settings)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        fence(app, self.settings)
        problems.install(app, {TooManyStreams: TOO_MANY_STREAMS, StreamsFull: STREAMS_FULL})

        @app.get("/v1/live", response_class=LiveStream, status_code=200)
        async def follow(request: Request, caller: str = "anna", topics: str = "viewers") -> LiveStream:
            return self.stream(caller, request.headers.get("last-event-id"), topics)

        @app.get("/v1/other")
        async def other() -> None:
            """Anything else."""

        return app


@dataclass
class Served:
    """The evening on a port. `stop` has the server end, as by a signal."""

    evening: Evening
    client: httpx.AsyncClient
    port: int
    stop: Callable[[], None]


@asynccontextmanager
async def served(tmp_path: Path, **changes: Any) -> AsyncIterator[Served]:
    settings = Settings(state_dir=tmp_path, **{"live_interval_s": INTERVAL_MS / 1000, "live_linger_s": 0.0, **changes})
    evening = Evening(settings)
    server = uvicorn.Server(config_of(evening.app(), settings, port=0))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]

    def stop() -> None:
        server.should_exit = True

    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield Served(evening, client, port, stop)
    finally:
        stop()
        await task
        for feed in evening.feeds:
            await feed.close()


def follow_each_other(received: list[Received]) -> bool:
    """Whether none is missing and none comes twice, by the intervals that their ids name."""
    at_ms = [ids.read(each.id)[Topic.VIEWERS] for each in received]
    return at_ms == list(range(at_ms[0], at_ms[0] + len(at_ms) * INTERVAL_MS, INTERVAL_MS))


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_samples_come_as_they_are_taken_each_with_an_id(tmp_path: Path) -> None:
    async with served(tmp_path) as at, listening(at.client, "/v1/live?topics=viewers,lag") as stream:
        assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.response.headers["cache-control"] == "no-store, no-transform"
        assert stream.response.headers["x-accel-buffering"] == "no"
        got = [await stream.next() for _ in range(6)]
        assert stream.retry_ms is not None and 2_000 < stream.retry_ms <= 4_000
        assert {each.event for each in got} == {"viewers", "lag"}
        assert follow_each_other([each for each in got if each.event == "viewers"])
        assert len({each.id for each in got} - {None}) == len(got)


async def test_who_comes_back_gets_what_was_missed_once(tmp_path: Path) -> None:
    async with served(tmp_path, live_linger_s=60.0) as at:
        async with listening(at.client, "/v1/live") as stream:
            [first, second] = [await stream.next() for _ in range(2)]
        await eventually(lambda: at.evening.said >= second.data["viewers"] + 9)
        async with listening(at.client, "/v1/live", after=second.id) as again:
            got = [await again.next() for _ in range(9)]
    assert [each.event for each in got] == ["viewers"] * 9
    assert follow_each_other([first, second, *got])


async def test_what_was_missed_and_is_gone_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        async with listening(at.client, "/v1/live", after="viewers=1767298530000&quality=9") as stream:
            reset, newest = await stream.next(), await stream.next()
        assert (reset.event, reset.data) == ("reset", {"topic": "viewers"})
        assert newest.event == "viewers"


async def test_a_sample_is_read_once_for_all_and_only_while_somebody_follows(tmp_path: Path) -> None:
    async with served(tmp_path, live_linger_s=0.0) as at:
        async with listening(at.client, "/v1/live") as one, listening(at.client, "/v1/live") as another:
            mine = {each.id: each.data for each in [await one.next() for _ in range(8)]}
            theirs = {each.id: each.data for each in [await another.next() for _ in range(8)]}
            both = mine.keys() & theirs.keys()
            assert len(both) >= 6
            assert all(mine[each] == theirs[each] for each in both)
        [feed, _] = at.evening.feeds
        await eventually(lambda: feed.window.newest is None)
        said = at.evening.said
        assert (await at.client.get("/v1/other")).status_code == 200
        assert at.evening.said == said


async def test_a_store_that_is_away_is_told_and_the_stream_goes_on(tmp_path: Path) -> None:
    def away() -> Exception:
        return StoreUnavailable("Postgres does not answer", members={"store": "postgres", "reason": "gone"})

    async with served(tmp_path) as at, listening(at.client, "/v1/live") as stream:
        before = await stream.next()
        at.evening.breaks = away
        told = await stream.until("unavailable")
        assert (told.data["topic"], told.data["store"], told.data["reason"]) == ("viewers", "postgres", "gone")
        assert told.id != before.id
        at.evening.breaks = None
        assert (await stream.until("viewers")).data["viewers"] > before.data["viewers"]


async def test_a_read_that_hangs_is_told_and_not_begun_again_meanwhile(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        released, reads = asyncio.Event(), 0

        async def hangs() -> Reading:
            nonlocal reads
            reads += 1
            await released.wait()
            return Lag(NOW, "back", [])

        at.evening.feeds[1] = Feed(Topic.LAG, hangs, at.evening.settings)
        async with listening(at.client, "/v1/live?topics=lag") as stream:
            for _ in range(3):
                assert (await stream.next()).event == "unavailable"
            assert reads == 1
            released.set()
            assert (await stream.until("lag")).data["kafka"] == "back"


async def test_what_breaks_the_reading_ends_the_streams_and_the_next_begins_anew(tmp_path: Path) -> None:
    async with served(tmp_path) as at:
        async with listening(at.client, "/v1/live") as stream:
            at.evening.breaks = lambda: ZeroDivisionError("a mistake")
            assert (await stream.rest())[-1].data == {"reason": "failed"}
        at.evening.breaks = None
        async with listening(at.client, "/v1/live") as stream:
            assert (await stream.next()).event == "viewers"


async def test_silence_is_broken_by_comments(tmp_path: Path) -> None:
    rare = {"live_interval_s": 600.0, "live_heartbeat_s": 0.05}
    async with served(tmp_path, **rare) as at, listening(at.client, "/v1/live") as stream:
        assert (await stream.next()).event == "viewers"
        assert [(await stream.next()).event for _ in range(3)] == [":"] * 3


async def test_a_token_that_holds_no_longer_ends_the_stream(tmp_path: Path) -> None:
    async with served(tmp_path, live_check_s=0.05) as at, listening(at.client, "/v1/live") as stream:
        assert (await stream.next()).event == "viewers"
        at.evening.is_let_in = False
        assert (await stream.rest())[-1].data == {"reason": "unauthenticated"}


async def test_a_stream_lasts_as_long_as_it_may_and_is_told_to_come_back(tmp_path: Path) -> None:
    async with served(tmp_path, live_stream_max_s=0.3) as at, listening(at.client, "/v1/live") as stream:
        got = await stream.rest()
        assert (got[0].event, got[-1].event, got[-1].data) == ("viewers", "end", {"reason": "lasted"})


async def test_a_server_that_ends_ends_its_streams(tmp_path: Path) -> None:
    async with served(tmp_path, live_interval_s=600.0) as at, listening(at.client, "/v1/live") as stream:
        await stream.next()
        at.stop()
        [end] = await stream.rest()
        assert (end.event, end.data) == ("end", {"reason": "shutdown"})


async def test_a_stream_outlasts_the_bounds_of_requests_and_takes_no_place_of_theirs(tmp_path: Path) -> None:
    bounds = {"request_timeout_s": 0.2, "request_body_timeout_s": 0.2, "http_max_concurrency": 1}
    async with served(tmp_path, **bounds) as at, listening(at.client, "/v1/live") as stream:
        for _ in range(20):  # a second
            assert (await stream.next()).event == "viewers"
        assert (await at.client.get("/v1/other")).status_code == 200
        assert (await stream.next()).event == "viewers"


async def test_streams_are_bounded_in_all_and_of_each_caller(tmp_path: Path) -> None:
    async with served(tmp_path, live_streams_max=3, live_streams_caller_max=2) as at:

        async def refusal(caller: str) -> tuple[int, str]:
            refused = await at.client.get(f"/v1/live?caller={caller}")
            assert "retry-after" in refused.headers
            return refused.status_code, refused.json()["type"].rpartition("/")[2]

        one, two = listening(at.client, "/v1/live"), listening(at.client, "/v1/live")
        async with one, two:
            assert await refusal("anna") == (429, "too-many-live-streams")
            async with listening(at.client, "/v1/live?caller=ben"):
                assert await refusal("cleo") == (503, "live-streams-full")
        await eventually(lambda: at.evening.places.open == 0)
        async with listening(at.client, "/v1/live") as stream:
            assert (await stream.next()).event == "viewers"


async def test_who_reads_slowly_is_sent_the_newest_and_told_what_was_left_out(tmp_path: Path) -> None:
    evening = Evening(
        Settings(state_dir=tmp_path, live_interval_s=0.02, live_behind_max_samples=3, live_samples_kept=9_999)
    )
    room, sent = asyncio.Event(), list[bytes]()

    async def send(message: Any) -> None:
        if b"event:" in message.get("body", b""):
            sent.append(message["body"])
            await room.wait()

    async def receive() -> dict[str, str]:
        await eventually(lambda: any(b"skipped" in each for each in sent))
        return {"type": "http.disconnect"}

    async def make_room() -> None:
        await eventually(lambda: evening.said > 9)
        room.set()

    await asyncio.gather(evening.stream("anna")({"type": "http", "method": "GET"}, receive, send), make_room())
    await evening.feeds[0].close()
    first, second = (each.decode() for each in sent[:2])
    assert first.startswith("event: viewers")
    marker, newest = second.split("\n\n", 1)
    left_out = int(marker.partition('"samples":')[2].rstrip("}"))
    before_ms, after_ms = (int(each.partition("id: viewers=")[2]) for each in (first, newest))
    assert (after_ms - before_ms) / 20 - 1 == left_out > 3


async def test_who_does_not_read_is_hung_up_on_while_others_go_on(tmp_path: Path) -> None:
    bounds = {"live_interval_s": 0.02, "live_stall_s": 0.2, "live_titles_shown": 1_000, "live_streams_caller_max": 2}
    async with served(tmp_path, **bounds) as at:
        at.evening.titles = [TitleViewers(f"t-{number}", "A long name " * 100, 1) for number in range(1_000)]
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setblocking(False)
            await loop.sock_connect(deaf, ("127.0.0.1", at.port))
            await loop.sock_sendall(deaf, b"GET /v1/live?caller=deaf HTTP/1.1\r\nHost: playhead\r\n\r\n")
            await eventually(lambda: at.evening.places.open == 1)
            async with listening(at.client, "/v1/live") as stream:
                while at.evening.places.open == 2:
                    assert (await stream.next()).event in ("viewers", "skipped")
                assert (await stream.until("viewers")).id == stream.last_id
