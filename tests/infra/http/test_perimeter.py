"""What stands between an app and the world: over real sockets, by the uvicorn that serves both APIs."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fastapi import Depends, FastAPI, Request
from starlette.responses import Response

from infra.access.authentication import PROBLEMS, Unauthenticated
from infra.clock import utc_now
from infra.http import problems
from infra.http.declared import Public
from infra.http.gate import Gate
from infra.http.perimeter import fence
from infra.http.rate_limiting import count_caller
from infra.http.server import config_of
from infra.settings import Settings

PAGE = "https://www.example.com"


def app_of(settings: Settings) -> FastAPI:
    app = FastAPI(openapi_url=None, dependencies=[Depends(Public("a test"))])
    app.add_middleware(Gate, routes=app)
    fence(app, settings)
    problems.install(app, PROBLEMS)
    app.state.handled = 0

    @app.post("/v1/echo")
    async def echo(request: Request) -> Response:
        body = await request.body()
        app.state.handled += 1
        return Response(body)

    @app.get("/v1/slow")
    async def slow() -> None:
        await asyncio.sleep(30)

    @app.get("/v1/boom")
    async def boom() -> None:
        raise RuntimeError("a secret")

    @app.get("/v1/refused")
    async def refused() -> None:
        raise Unauthenticated("no")

    @app.get("/v1/cached")
    async def cached() -> Response:
        return Response("{}", headers={"Cache-Control": "public, max-age=60"})

    @app.get("/v1/of/{who}")
    async def of(request: Request, who: str) -> None:
        count_caller(request.scope, who)

    return app


@asynccontextmanager
async def served(tmp_path: Path, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(state_dir=tmp_path, **changes)
    config = config_of(app_of(settings), settings, port=0)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    scheme = "https" if settings.http_tls_key_file else "http"
    verify = ssl.create_default_context(cafile=settings.http_tls_certificate_file) if scheme == "https" else True
    try:
        async with httpx.AsyncClient(base_url=f"{scheme}://127.0.0.1:{port}", verify=verify) as client:
            yield client
    finally:
        server.should_exit = True
        await task


def slug(reply: httpx.Response) -> str:
    assert reply.headers["content-type"] == "application/problem+json"
    return str(reply.json()["type"]).rpartition("/")[2]


async def test_every_reply_carries_the_security_headers_and_names_no_server(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for path, status in (("/v1/boom", 500), ("/v1/refused", 401), ("/v1/nothing", 404), ("/v1/echo", 405)):
            reply = await client.get(path)
            assert reply.status_code == status
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert reply.headers["referrer-policy"] == "no-referrer"
            assert "camera=()" in reply.headers["permissions-policy"]
            assert reply.headers["cache-control"] == "no-store"
            assert "server" not in reply.headers
            assert "strict-transport-security" not in reply.headers
            assert "secret" not in reply.text
        assert (await client.get("/v1/cached")).headers["cache-control"] == "public, max-age=60"


async def test_pages_of_an_origin_that_is_let_in_can_read_replies_and_refusals(tmp_path: Path) -> None:
    async with served(tmp_path, cors_origins=(PAGE,)) as client:
        for path in ("/v1/cached", "/v1/refused", "/v1/boom", "/v1/nothing"):
            reply = await client.get(path, headers={"Origin": PAGE})
            assert reply.headers["access-control-allow-origin"] == PAGE
            assert reply.headers["vary"] == "Origin"
            exposed = reply.headers["access-control-expose-headers"].split(", ")
            assert {"Playhead-Position", "ETag", "RateLimit", "Retry-After", "X-Correlation-Id"} <= set(exposed)
            assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://www.example.com.evil.example", PAGE + "/"])
async def test_pages_of_other_origins_cannot(tmp_path: Path, origin: str) -> None:
    async with served(tmp_path, cors_origins=(PAGE,)) as client:
        assert "access-control-allow-origin" not in (await client.get("/v1/cached", headers={"Origin": origin})).headers
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        refused = await client.options("/v1/echo", headers=asked)
        assert (refused.status_code, slug(refused)) == (403, "origin-not-allowed")
        assert "access-control-allow-origin" not in refused.headers


async def test_a_preflight_is_answered_before_anybody_is_asked_who_they_are(tmp_path: Path) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with served(tmp_path, cors_origins=(PAGE,)) as client:
        reply = await client.options("/v1/refused", headers=asked)
        assert reply.status_code == 204
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert "Authorization" in reply.headers["access-control-allow-headers"]


@pytest.mark.parametrize("origins", [("*",), ("https://a.example/",), ("a.example",), ("https://a.example/x",)])
def test_only_exact_origins_can_be_let_in(origins: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(cors_origins=origins)


async def sent(client: httpx.AsyncClient, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What comes back over a connection until it is closed by the server, which it must be."""
    assert client.base_url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    try:
        async with asyncio.timeout(5):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
            return await reader.read()
    finally:
        writer.close()


async def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    async with served(tmp_path, request_body_timeout_s=0.3) as client:
        head = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        reply = await sent(client, head, b"half")
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"body-too-slow" in reply


@pytest.mark.parametrize("pieces", [(), (b"GET /v1/cached HT",), (b"GET /v1/cached HTTP/1.1\r\nHost: x\r\nX-Slow: ",)])
async def test_a_connection_that_does_not_send_a_request_is_closed(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    async with served(tmp_path, http_headers_timeout_s=0.3) as client:
        assert (await sent(client, *pieces)).startswith(b"HTTP/1.1 408 ")
        kept = await sent(client, b"GET /v1/cached HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /", pause_s=0.1)
        assert kept.startswith(b"HTTP/1.1 200 "), "and of one that did, the next request"


async def test_a_head_that_does_not_end_is_not_kept(tmp_path: Path) -> None:
    async with served(tmp_path, http_headers_max_bytes=8_192) as client:
        reply = await sent(
            client, b"GET /v1/cached HTTP/1.1\r\n", *(b"X-%d: %s\r\n" % (n, b"x" * 8_000) for n in range(3))
        )
        assert reply.startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(1024)

    async with served(tmp_path, request_max_bytes=2048) as client:
        for content in (bytes(4096), pieces()):
            reply = await client.post("/v1/echo", content=content)
            assert (reply.status_code, slug(reply)) == (413, "body-too-large")
        zipped = await client.post("/v1/echo", content=b"x", headers={"Content-Encoding": "gzip"})
        assert (zipped.status_code, slug(zipped)) == (415, "encoding-unsupported")


async def test_what_takes_too_long_is_ended_and_said_so(tmp_path: Path) -> None:
    async with served(tmp_path, request_timeout_s=0.2, retry_after_s=7) as client:
        reply = await client.get("/v1/slow")
        assert (reply.status_code, slug(reply)) == (503, "request-timed-out")
        assert reply.headers["retry-after"] == "7"
        assert reply.headers["x-correlation-id"]


async def test_too_many_headers_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        for headers in ({f"x-{number}": "1" for number in range(200)}, {"x-large": "x" * 40_000}):
            reply = await client.get("/v1/cached", headers=headers)
            assert (reply.status_code, slug(reply)) == (431, "headers-too-large")
        assert (await client.get("/v1/cached", params={"q": "x" * 40_000})).status_code == 431


async def test_requests_over_the_limit_of_a_process_are_told_so(tmp_path: Path) -> None:
    async with served(tmp_path, http_max_concurrency=2, request_timeout_s=1.0) as client:
        first = [asyncio.create_task(client.get("/v1/slow")) for _ in range(2)]
        await asyncio.sleep(0.2)
        refused = await client.get("/v1/cached")
        assert (refused.status_code, slug(refused)) == (503, "overloaded")
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/health")).status_code == 404, "probes are let through; this app has none"
        await asyncio.gather(*first)
        assert (await client.get("/v1/cached")).status_code == 200


async def test_it_is_served_over_tls_when_there_is_a_certificate(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    async with served(tmp_path, http_tls_certificate_file=certificate, http_tls_key_file=key) as client:
        assert (await client.get("/v1/cached")).headers["strict-transport-security"].startswith("max-age=63072000")


async def test_an_address_is_limited_unless_its_network_is_free(tmp_path: Path) -> None:
    async with served(tmp_path, rate_query_address="3 per 60 s", rate_free_networks=()) as client:
        replies = [await client.get("/v1/cached") for _ in range(5)]
        assert [reply.status_code for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[0].headers["ratelimit-policy"] == '"query-address";q=3;w=60'
        assert replies[0].headers["ratelimit"].startswith('"query-address";r=2;t=')
        assert slug(replies[4]) == "rate-limited"
        assert 1 <= int(replies[4].headers["retry-after"]) <= 120
        assert (await client.post("/v1/echo", content=b"{}")).status_code == 200, "another class of routes"
    async with served(tmp_path, rate_query_address="3 per 60 s") as client:
        assert {(await client.get("/v1/cached")).status_code for _ in range(9)} == {200}


async def test_behind_a_trusted_proxy_each_client_is_limited_alone(tmp_path: Path) -> None:
    settings = {"rate_query_address": "2 per 60 s", "rate_free_networks": (), "trusted_proxies": ("127.0.0.0/8",)}
    async with served(tmp_path, **settings) as client:
        for client_ip, statuses in (("198.51.100.1", [200, 200, 429]), ("198.51.100.2", [200, 200, 429])):
            headers = {"X-Forwarded-For": f"made-up, {client_ip}"}
            assert [(await client.get("/v1/cached", headers=headers)).status_code for _ in range(3)] == statuses


async def test_one_caller_who_floods_is_limited_alone_and_learns_when_to_come_back(tmp_path: Path) -> None:
    async with served(tmp_path, rate_query="5 per 60 s") as client:
        flood = [await client.get("/v1/of/flooder") for _ in range(8)]
        assert [reply.status_code for reply in flood] == [200] * 5 + [429] * 3
        assert slug(flood[-1]) == "rate-limited"
        assert flood[-1].headers["ratelimit"].startswith('"query";r=0;t=')
        assert (await client.get("/v1/of/other")).status_code == 200


def self_signed(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
