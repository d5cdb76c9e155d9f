"""What a reply is sent as: unchanged, compressed, or as it is; over a real application."""

import gzip
from collections.abc import AsyncIterator

import brotli
import httpx
import pytest
from backports import zstd
from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response, StreamingResponse

from infra.http.inflating_streams import InflatingStream
from infra.http.representations import Representations
from infra.settings import Settings

LONG = b'{"items": [' + b", ".join(b'{"title_id": "made-up-%d"}' % number for number in range(200)) + b"]}"
SHORT = b'{"items": []}'
PIECES = [b'{"title_id": "heat"}\n', b'{"title_id": "ran"}\n']
JSON = "application/json"
DECODED = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstd.decompress}


async def _pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Representations, settings=Settings())
    app.state.body = LONG
    app.state.headers = {}

    @app.get("/v1/reply")
    async def reply() -> Response:
        return Response(app.state.body, media_type=JSON, headers=app.state.headers)

    @app.post("/v1/reply")
    async def post() -> Response:
        return Response(LONG, media_type=JSON)

    @app.get("/v1/gone")
    async def gone() -> Response:
        return Response(LONG, status_code=404, media_type="application/problem+json")

    @app.get("/v1/lines")
    async def lines() -> Response:
        return StreamingResponse(_pieces(), media_type="application/x-ndjson")

    @app.get("/v1/events")
    async def events() -> Response:
        return StreamingResponse(_pieces(), media_type="text/event-stream")

    @app.get("/docs-page")
    async def page() -> Response:
        return HTMLResponse(LONG, headers={"Content-Security-Policy": "default-src 'none'"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(LONG, media_type="text/plain")

    @app.get("/v1/broken")
    async def broken() -> Response:
        raise RuntimeError("no")

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://query", headers={"Accept-Encoding": ""}) as one:
        yield one


async def raw_of(client: httpx.AsyncClient, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """A reply, and its body as it was sent."""
    async with client.stream(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    ) as r:
        return r, b"".join([piece async for piece in r.aiter_raw()])


@pytest.mark.parametrize("coding", [None, *DECODED])
async def test_who_has_a_reply_is_told_that_it_has_not_changed_until_it_has(
    app: FastAPI, client: httpx.AsyncClient, coding: str | None
) -> None:
    accept = {"Accept_Encoding": coding} if coding else {}
    first, _ = await raw_of(client, "/v1/reply", **accept)
    tag = first.headers["etag"]
    again, body = await raw_of(client, "/v1/reply", If_None_Match=f'"another", {tag}', **accept)
    assert (again.status_code, body) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers["vary"] == "Accept-Encoding"
    assert not {"content-length", "content-type", "content-encoding"} & set(again.headers)
    app.state.body = LONG + b"\n"
    changed, body = await raw_of(client, "/v1/reply", If_None_Match=tag, **accept)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_any_tag_names_what_is_there_and_nothing_of_what_is_refused(client: httpx.AsyncClient) -> None:
    assert (await raw_of(client, "/v1/reply", If_None_Match="*"))[0].status_code == 304
    refused, body = await raw_of(client, "/v1/gone", If_None_Match="*", Accept_Encoding="gzip")
    assert (refused.status_code, body) == (404, LONG)
    assert not {"etag", "content-encoding"} & set(refused.headers)


@pytest.mark.parametrize("coding", DECODED)
async def test_a_long_reply_is_compressed_under_a_tag_of_its_own(client: httpx.AsyncClient, coding: str) -> None:
    plain, body = await raw_of(client, "/v1/reply")
    assert body == LONG
    compressed, body = await raw_of(client, "/v1/reply", Accept_Encoding=coding)
    assert compressed.headers["content-encoding"] == coding
    assert compressed.headers["content-length"] == str(len(body))
    assert len(body) < len(LONG) / 4
    assert DECODED[coding](body) == LONG
    assert compressed.headers["etag"] != plain.headers["etag"]
    assert compressed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    unlike, _ = await raw_of(client, "/v1/reply", Accept_Encoding=coding, If_None_Match=plain.headers["etag"])
    assert unlike.status_code == 200


async def test_a_large_reply_is_compressed_beside_the_loop(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.body = LONG * 100
    _, body = await raw_of(client, "/v1/reply", Accept_Encoding="gzip")
    assert gzip.decompress(body) == LONG * 100


async def test_a_short_reply_is_tagged_and_sent_as_it_is(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.body = SHORT
    short, body = await raw_of(client, "/v1/reply", Accept_Encoding="gzip, br, zstd")
    assert body == SHORT
    assert not {"content-encoding", "vary"} & set(short.headers)
    assert (await raw_of(client, "/v1/reply", If_None_Match=short.headers["etag"]))[0].status_code == 304


@pytest.mark.parametrize("said", [{"Cache-Control": "no-store"}, {"ETag": '"7"'}, {"Content-Encoding": "br"}])
async def test_what_a_route_says_of_its_reply_holds(
    app: FastAPI, client: httpx.AsyncClient, said: dict[str, str]
) -> None:
    app.state.headers = said
    reply, body = await raw_of(client, "/v1/reply", Accept_Encoding="gzip", If_None_Match="*")
    assert (reply.status_code, body) == (200, LONG)
    assert reply.headers.get("etag") == said.get("ETag")
    assert reply.headers.get("content-encoding") == said.get("Content-Encoding")


async def test_what_a_route_says_of_who_may_keep_its_reply_holds(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.headers = {"Cache-Control": "public, no-cache", "Vary": "Accept-Language", "Content-Language": "ko"}
    reply, _ = await raw_of(client, "/v1/reply")
    assert reply.headers["cache-control"] == "public, no-cache"
    assert reply.headers["vary"] == "Accept-Language, Accept-Encoding"
    assert reply.headers["content-language"] == "ko"


@pytest.mark.parametrize("coding", DECODED)
async def test_a_stream_is_compressed_as_it_goes_and_has_no_tag(client: httpx.AsyncClient, coding: str) -> None:
    stream, body = await raw_of(client, "/v1/lines", Accept_Encoding=coding)
    assert stream.headers["content-encoding"] == coding
    assert not {"etag", "content-length"} & set(stream.headers)
    assert b"".join(InflatingStream(coding.encode()).feed(body)) == b"".join(PIECES)


async def test_server_sent_events_and_probes_are_left_alone(client: httpx.AsyncClient) -> None:
    for path, body in (("/v1/events", b"".join(PIECES)), ("/metrics", LONG)):
        reply, sent = await raw_of(client, path, Accept_Encoding="gzip", If_None_Match="*")
        assert (reply.status_code, sent) == (200, body)
        assert not {"etag", "content-encoding", "vary"} & set(reply.headers)


async def test_a_pages_policy_is_kept_with_it(client: httpx.AsyncClient) -> None:
    reply, _ = await raw_of(client, "/docs-page", If_None_Match="*")
    assert reply.status_code == 304
    assert reply.headers["content-security-policy"] == "default-src 'none'"


async def test_what_is_not_asked_for_by_get_or_fails_is_left_alone(client: httpx.AsyncClient) -> None:
    posted = await client.post("/v1/reply", headers={"Accept-Encoding": "gzip"})
    assert (posted.status_code, posted.content) == (200, LONG)
    assert "etag" not in posted.headers
    assert (await raw_of(client, "/v1/broken"))[0].status_code == 500
