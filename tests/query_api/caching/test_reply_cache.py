"""Replies that are kept, over a real application: who gets which, and when it is read anew."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from infra.access import authentication
from infra.access.authentication import BearerAuthentication, Needs
from infra.access.permissions import Principal, Scope
from infra.access.tokens import Tokens
from infra.http import problems
from infra.http.representations import Representations
from infra.settings import Settings
from query_api.caching.declared import Kept, Turn, kept
from query_api.caching.reply_cache import ReplyCache
from query_api.catalog.titles import sees_every_status
from tests.query_api.caching.views import NOW_S, Views, places_of, turns_of

VIEWER = Principal(subject="viewer", account_id="household-1", profile_id="viewer-1")
OTHER = Principal(subject="other", account_id="household-2", profile_id="viewer-2")
EDITOR = Principal(subject="editor", roles=("editor",))
NOBODY = Principal(subject="importer", scopes=frozenset({Scope.PLAYBACK_IMPORT}))
TOPIC = "catalog.events"


class Route:
    """What its route reads, and how often. `gate`: closed, readers wait before it."""

    def __init__(self) -> None:
        self.read = 0
        self.status = 200
        self.headers: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def until_read(self, times: int) -> None:
        async with asyncio.timeout(10):
            while self.read < times:
                await asyncio.sleep(0)

    async def answer(self, said: str = "") -> Response:
        self.read += 1
        number = self.read
        await self.gate.wait()
        return Response(f'{{"read": {number}, "said": "{said}"}}', self.status, self.headers, "application/json")


def app_of(route: Route) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/v1/shelf/{shelf_id}", dependencies=[Depends(Needs(Scope.CATALOG_READ))])
    @kept(Kept((TOPIC,), (Turn.WINDOWS,), timeless_with="at", shared=True))
    async def shelf(
        shelf_id: str,
        tag: Annotated[list[str] | None, Query()] = None,
        limit: int = 20,
        language: Annotated[str, Header(alias="Accept-Language")] = "",
    ) -> Response:
        return await route.answer(f"{shelf_id} {tag} {limit} {language}")

    @app.get("/v1/shelf/{shelf_id}/drafts")
    @kept(Kept((TOPIC,), of_caller=sees_every_status))
    async def drafts(caller: Annotated[Principal, Depends(Needs(Scope.CATALOG_READ, Scope.CATALOG_WRITE))]) -> Response:
        return await route.answer(str(sees_every_status(caller)))

    @app.get("/v1/shelf/{shelf_id}/lines", dependencies=[Depends(Needs(Scope.CATALOG_READ))])
    @kept(Kept((TOPIC,)))
    async def lines() -> Response:
        async def pieces() -> AsyncIterator[str]:
            route.read += 1
            yield f"{route.read}\n"
            await route.gate.wait()

        return StreamingResponse(pieces(), media_type="application/x-ndjson")

    @app.get("/v1/own", dependencies=[Depends(Needs(Scope.CATALOG_READ))])
    async def own(request: Request) -> Response:
        return await route.answer((await authentication.principal(request)).subject)

    return app


class Api:
    """The application, its views, and whoever asks."""

    def __init__(self, route: Route, views: Views, client: httpx.AsyncClient, tokens: Tokens) -> None:
        self.route = route
        self.views = views
        self._client = client
        self._tokens = tokens

    async def get(self, path: str, who: Principal | None = VIEWER, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            named["Authorization"] = f"Bearer {self._tokens.mint_access(who)}"
        return await self._client.get(path, headers={"Accept-Encoding": "", **named})

    async def read(self, path: str, who: Principal = VIEWER, **headers: str) -> int:
        """Which reading a reply is of."""
        reply = await self.get(path, who, **headers)
        assert reply.status_code == 200, reply.text
        return int(reply.json()["read"])


Serve = Callable[..., Any]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[Api]:
        route, views = Route(), Views()
        changes = {"reply_cache_position_age_s": 0, **changes}
        settings = Settings(state_dir=tmp_path, **changes)
        app, tokens = app_of(route), Tokens(settings)
        app.state.authentication = BearerAuthentication(tokens)
        places, turns = (
            await places_of(views, reply_cache_position_age_s=0, reply_cache_timeout_s=0.05),
            await turns_of(views),
        )
        app.add_middleware(ReplyCache, routes=app, places=places, turns=turns, settings=settings, clock=views.clock)
        app.add_middleware(Representations, settings=settings)
        problems.install(app, authentication.PROBLEMS)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://query") as client:
            yield Api(route, views, client, tokens)

    return served


@pytest.fixture
async def api(serve: Serve) -> AsyncIterator[Api]:
    async with serve() as api:
        yield api


async def test_a_reply_is_read_once_until_the_views_move(api: Api) -> None:
    assert [await api.read("/v1/shelf/s-1") for _ in range(3)] == [1, 1, 1]
    api.views.places["playback.events"] = "moved"
    assert await api.read("/v1/shelf/s-1") == 1
    api.views.places[TOPIC], api.views.now_s = "moved", NOW_S + 1
    assert [await api.read("/v1/shelf/s-1") for _ in range(2)] == [2, 2]


async def test_a_reply_that_depends_on_windows_is_read_anew_when_one_turns(api: Api) -> None:
    api.views.next_turn_s = NOW_S + 60
    assert await api.read("/v1/shelf/s-1") == 1
    assert await api.read("/v1/shelf/s-1?at=then") == 2
    api.views.now_s = NOW_S + 59.9
    assert await api.read("/v1/shelf/s-1") == 1
    api.views.now_s = NOW_S + 60
    assert await api.read("/v1/shelf/s-1") == 3
    assert await api.read("/v1/shelf/s-1?at=then") == 2


async def test_what_is_asked_decides_the_reply_however_it_is_written(api: Api) -> None:
    first = await api.read("/v1/shelf/s-1?limit=5&tag=a&tag=b", Accept_Language="ko-KR,en;q=0.5")
    assert await api.read("/v1/shelf/s-1?tag=a&limit=5&tag=b", Accept_Language="ko-kr, en;q=0.4") == first
    others = [
        await api.read("/v1/shelf/s-1?limit=5&tag=b&tag=a", Accept_Language="ko-KR,en;q=0.5"),
        await api.read("/v1/shelf/s-1?limit=5&tag=a", Accept_Language="ko-KR,en;q=0.5"),
        await api.read("/v1/shelf/s-1?limit=5&tag=a&tag=b", Accept_Language="en"),
        await api.read("/v1/shelf/s-1?limit=5&tag=a&tag=b", Accept_Language="ko-KR,en;q=0.5", Accept="text/csv"),
        await api.read("/v1/shelf/s-2?limit=5&tag=a&tag=b", Accept_Language="ko-KR,en;q=0.5"),
    ]
    assert others == [2, 3, 4, 5, 6]
    assert await api.read("/v1/shelf/s-1?limit=5&limit=7") != await api.read("/v1/shelf/s-1?limit=7&limit=5")


async def test_what_of_its_caller_decides_a_reply_keeps_callers_apart(api: Api) -> None:
    assert await api.read("/v1/shelf/s-1/drafts", VIEWER) == 1
    assert await api.read("/v1/shelf/s-1/drafts", OTHER) == 1
    assert await api.read("/v1/shelf/s-1/drafts", EDITOR) == 2


async def test_a_kept_reply_is_for_nobody_who_may_not_read_it(api: Api) -> None:
    await api.read("/v1/shelf/s-1")
    assert (await api.get("/v1/shelf/s-1", None)).status_code == 401
    assert (await api.get("/v1/shelf/s-1", NOBODY)).status_code == 403
    assert api.route.read == 1


async def test_what_no_route_declares_is_never_kept(api: Api) -> None:
    assert [(await api.get("/v1/own", who)).json()["said"] for who in (VIEWER, OTHER)] == ["viewer", "other"]
    assert api.route.read == 2


async def test_who_waits_for_a_position_is_answered_by_the_route(api: Api) -> None:
    assert await api.read("/v1/shelf/s-1") == 1
    assert await api.read("/v1/shelf/s-1", Playhead_Position="catalog.events:0:17") == 2
    assert await api.read("/v1/shelf/s-1") == 1


async def test_equal_requests_at_the_same_time_are_read_once(api: Api) -> None:
    api.route.gate.clear()
    asked = [asyncio.create_task(api.read("/v1/shelf/s-1")) for _ in range(20)]
    other = asyncio.create_task(api.read("/v1/shelf/s-2"))
    await api.route.until_read(2)
    api.views.places[TOPIC] = "moved"
    later = asyncio.create_task(api.read("/v1/shelf/s-1"))
    await api.route.until_read(3)
    api.route.gate.set()
    assert len(set(await asyncio.gather(*asked))) == 1
    assert await other != (await asked[0])
    assert await later == 3
    assert await api.read("/v1/shelf/s-1") in (1, 3, 4)


async def test_what_is_refused_or_goes_away_leaves_the_others_to_read_themselves(api: Api) -> None:
    api.route.gate.clear()
    asked = [asyncio.create_task(api.get("/v1/shelf/s-1")) for _ in range(3)]
    await api.route.until_read(1)
    asked[0].cancel()
    api.route.gate.set()
    _, *others = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(other, httpx.Response) and other.status_code for other in others] == [200, 200]
    api.route.status = 404
    assert (await api.get("/v1/shelf/s-3")).status_code == 404
    api.route.status = 200
    assert (await api.get("/v1/shelf/s-3")).status_code == 200


@pytest.mark.parametrize("said", [{"Cache-Control": "no-store"}, {"Set-Cookie": "a=b"}, {"Vary": "Accept, Cookie"}])
async def test_a_reply_that_its_key_does_not_decide_is_not_kept(api: Api, said: dict[str, str]) -> None:
    api.route.headers = said
    assert [await api.read("/v1/shelf/s-1") for _ in range(2)] == [1, 2]


async def test_a_stream_is_not_kept(api: Api) -> None:
    assert [(await api.get("/v1/shelf/s-1/lines")).text for _ in range(2)] == ["1\n", "2\n"]


async def test_nobody_waits_for_the_end_of_what_another_is_sent_piece_by_piece(api: Api) -> None:
    api.route.gate.clear()
    asked = [asyncio.create_task(api.get("/v1/shelf/a/lines")) for _ in range(2)]
    await api.route.until_read(2)
    api.route.gate.set()
    assert {reply.text for reply in await asyncio.gather(*asked)} == {"1\n", "2\n"}


async def test_what_is_too_long_to_be_a_key_is_not_kept(serve: Serve) -> None:
    async with serve(reply_cache_key_max_bytes=100) as api:
        assert [await api.read(f"/v1/shelf/{'s' * 100}") for _ in range(2)] == [1, 2]


async def test_while_postgres_is_away_nothing_is_answered_from_what_is_kept(api: Api) -> None:
    assert await api.read("/v1/shelf/s-1") == 1
    api.views.is_away = True
    assert await api.read("/v1/shelf/s-1") == 2


async def test_who_asks_while_postgres_hangs_is_answered_by_the_route(serve: Serve) -> None:
    async with serve(reply_cache_timeout_s=0.05) as api:
        assert await api.read("/v1/shelf/s-1") == 1
        api.views.is_hanging = True
        assert await api.read("/v1/shelf/s-1") == 2


async def test_an_operator_turns_it_off(serve: Serve) -> None:
    async with serve(reply_cache=False) as api:
        assert [await api.read("/v1/shelf/s-1") for _ in range(2)] == [1, 2]
        assert api.views.looked == 0


async def test_a_kept_reply_is_tagged_compressed_and_said_to_be_unchanged_as_any_other(api: Api) -> None:
    api.route.headers = {"Content-Language": "ko", "Vary": "Accept-Language"}
    path = f"/v1/shelf/{'s' * 1_500}"
    first, kept_ = await api.get(path), await api.get(path)
    assert api.route.read == 1
    left_out = {"content-length"}
    assert first.content == kept_.content
    assert {n: v for n, v in first.headers.items() if n not in left_out} == {
        n: v for n, v in kept_.headers.items() if n not in left_out
    }
    assert first.headers["cache-control"] == "public, no-cache"
    assert (await api.get(path, If_None_Match=first.headers["etag"])).status_code == 304
    packed = [await api.get(path, Accept_Encoding="gzip") for _ in range(2)]
    assert [reply.headers["content-encoding"] for reply in packed] == ["gzip", "gzip"]
    assert packed[0].content == packed[1].content == first.content
    assert api.route.read == 1


async def test_a_reply_that_is_not_shared_is_private(api: Api) -> None:
    assert (await api.get("/v1/shelf/s-1/drafts")).headers["cache-control"] == "private, no-cache"
    assert (await api.get("/v1/shelf/s-1/lines")).headers.get("cache-control") is None
