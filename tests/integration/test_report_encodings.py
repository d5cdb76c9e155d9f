"""Reports and stops as they really arrive: compressed by players, and as beacons of pages that are left. Over sockets,
on real servers.
"""

import asyncio
import gzip
import logging
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import cramjam
import httpx
import msgspec
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.app import create_app
from events.playback import PlaybackStopped, Reported
from events.registry import REGISTRY
from events.topics import PLAYBACK
from events.types import SessionId
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.http.server import config_of
from infra.positions import parse_positions
from infra.redaction import redacted
from infra.settings import Settings
from tests import builders

pytestmark = pytest.mark.integration

PAGE: Final = "https://www.example.com"
TEXT: Final = {"Content-Type": "text/plain;charset=UTF-8"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
NOT_OURS: Final = ("httpx", "httpcore", "uvicorn.access")
"""The client's logs; and uvicorn's of requests, which is off and to which only pytest gives a handler."""
WAYS: Final = ["token in the text", "token in the query of a text", "token in the form", "token in the query of a form"]


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: Final[list[tuple[str, Callable[[bytes], bytes]]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", lambda data: bytes(cramjam.brotli.compress(data))),
    ("zstd", lambda data: bytes(cramjam.zstd.compress(data))),
]
each_coding = pytest.mark.parametrize(("coding", "compress"), CODINGS, ids=["gzip", "zlib", "raw", "br", "zstd"])


@pytest.fixture(scope="module")
async def client(live: Settings) -> AsyncIterator[httpx.AsyncClient]:
    settings = live.model_copy(update={"cors_origins": (PAGE,)})
    app = create_app(settings)
    server = uvicorn.Server(config_of(app, settings, port=0))
    task = asyncio.create_task(server._serve())
    async with asyncio.timeout(20):
        while not server.started or not app.state.resources.publisher.ready:
            await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        await task


class Player:
    """A player of a session that was granted."""

    def __init__(self, settings: Settings, **session: Any) -> None:
        self.session = builders.session(SessionId(str(uuid4())), started_at=utc_now(), **session)
        self.token = Tokens(settings).mint_playback(builders.grant(self.session), utc_now() + timedelta(hours=1))

    def path(self, what: str = "events") -> str:
        return f"/v1/playback/sessions/{self.session.session_id}/{what}"

    def sent(self, coding: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Encoding": coding}

    def beacon(self, way: str, body: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the request that sends a report in one of WAYS."""
        if way.endswith("text"):
            carried = {"token": self.token, **body} if way == WAYS[0] else body
            sent: dict[str, Any] = {"content": msgspec.json.encode(carried), "headers": {**TEXT, "Origin": PAGE}}
        else:
            fields = {"report": msgspec.json.encode(body).decode()}
            carried = {**fields, "token": self.token} if way == WAYS[2] else fields
            sent = {"content": urlencode(carried), "headers": {**FORM, "Origin": PAGE}}
        return sent | ({"params": {"token": self.token}} if "query" in way else {})


@pytest.fixture
def player(live: Settings) -> Player:
    return Player(live)


def report(*seqs: int) -> dict[str, Any]:
    now = utc_now().isoformat()
    return {"sent_at": now, "events": [{"type": "heartbeat", "seq": s, "at": now, "position_ms": s} for s in seqs]}


def stop(seq: int) -> dict[str, Any]:
    now = utc_now().isoformat()
    return {"sent_at": now, "at": now, "seq": seq, "position_ms": seq}


async def recorded(live: Settings, reply: httpx.Response, player: Player) -> list[int | str]:
    """What is on Kafka of a session up to the position of a reply: the seqs of its reports, and its stop."""
    [position] = parse_positions(reply.headers["Playhead-Position"])
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(PLAYBACK.name, position.partition)
        consumer.assign([place])
        consumer.seek(place, max(0, position.position - 4))
        found: list[int | str] = []
        last = -1
        while last < position.position:
            for record in (await consumer.getmany(timeout_ms=500)).get(place, []):
                last = record.offset
                data = REGISTRY.decode(record.value).data
                if isinstance(data, Reported) and data.session.session_id == player.session.session_id:
                    found.append("stopped" if isinstance(data, PlaybackStopped) else data.report.seq)
        return found
    finally:
        await consumer.stop()


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


@each_coding
async def test_a_compressed_report_and_stop_are_taken_as_if_they_were_not(
    client: httpx.AsyncClient, live: Settings, player: Player, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(msgspec.json.encode(report(0, 1)))
    reply = await client.post(player.path(), content=body, headers=player.sent(coding))
    assert [result["status"] for result in reply.raise_for_status().json()["results"]] == ["ok", "ok"]
    assert (await recorded(live, reply, player))[-2:] == [0, 1]
    stopping = compress(msgspec.json.encode(stop(2)))
    stopped = await client.post(player.path("stop"), content=stopping, headers=player.sent(coding))
    assert stopped.json() == {"results": [{"status": "ok", "seq": 2}], "lease_expires_at_ms": 0}
    assert (await recorded(live, stopped, player))[-1] == "stopped"


@each_coding
@pytest.mark.parametrize("what", ["events", "stop"])
async def test_what_inflates_to_more_than_a_body_may_hold_is_refused(
    client: httpx.AsyncClient, player: Player, coding: str, compress: Callable[[bytes], bytes], what: str
) -> None:
    reply = await client.post(player.path(what), content=compress(b" " * 1_048_577), headers=player.sent(coding))
    assert problem(reply) == (413, "body-too-large")


async def test_the_bytes_that_arrive_are_limited_too(client: httpx.AsyncClient, player: Player) -> None:
    reply = await client.post(player.path(), content=bytes(1_048_577), headers=player.sent("gzip"))
    assert problem(reply) == (413, "body-too-large")


@each_coding
async def test_a_compressed_body_that_is_cut_off_is_malformed(
    client: httpx.AsyncClient, player: Player, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(msgspec.json.encode(report(0)))[:-3]
    reply = await client.post(player.path(), content=body, headers=player.sent(coding))
    assert problem(reply) == (400, "encoding-malformed")


@pytest.mark.parametrize("coding", ["gzip, gzip", "br, gzip", "compress", "aes128gcm"])
async def test_other_encodings_and_several_are_refused_and_those_taken_are_named(
    client: httpx.AsyncClient, player: Player, coding: str
) -> None:
    body = gzip.compress(gzip.compress(msgspec.json.encode(report(0))))
    reply = await client.post(player.path(), content=body, headers=player.sent(coding))
    assert problem(reply) == (415, "encoding-unsupported")
    assert reply.headers["accept-encoding"] == "gzip, deflate, br, zstd"


async def test_an_encoding_in_each_of_two_headers_is_two_encodings(client: httpx.AsyncClient, player: Player) -> None:
    headers = [*player.sent("gzip").items(), ("Content-Encoding", "gzip")]
    body = gzip.compress(msgspec.json.encode(report(0)))
    assert problem(await client.post(player.path(), content=body, headers=headers)) == (415, "encoding-unsupported")


async def test_what_was_inflated_is_no_json(client: httpx.AsyncClient, player: Player) -> None:
    reply = await client.post(player.path(), content=gzip.compress(b"{"), headers=player.sent("gzip"))
    assert problem(reply) == (400, "malformed-json")


async def test_nobody_unknown_has_anything_inflated(client: httpx.AsyncClient, player: Player) -> None:
    headers = {"Authorization": "Bearer a.b.c", "Content-Encoding": "gzip"}
    reply = await client.post(player.path(), content=b"no gzip", headers=headers)
    assert problem(reply) == (401, "playback-token-invalid")


async def test_other_routes_take_no_compressed_body(client: httpx.AsyncClient) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await client.post("/v1/sign-in", content=gzip.compress(b"{}"), headers=headers)
    assert problem(reply) == (415, "encoding-unsupported")
    assert "accept-encoding" not in reply.headers


@pytest.mark.parametrize("way", WAYS)
async def test_a_beacon_is_taken_and_answered_with_nothing(
    client: httpx.AsyncClient, live: Settings, player: Player, way: str
) -> None:
    for what, body, last in (("events", report(0, 1), 1), ("events", report(0, 1), 1), ("stop", stop(2), "stopped")):
        reply = await client.post(player.path(what), **player.beacon(way, body))
        assert (reply.status_code, reply.content) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert '"ingest";' in reply.headers["ratelimit-policy"]
        assert (await recorded(live, reply, player))[-1] == last


async def test_a_beacon_may_be_compressed_by_who_can(client: httpx.AsyncClient, player: Player) -> None:
    body = gzip.compress(msgspec.json.encode({"token": player.token, **report(0)}))
    assert (await client.post(player.path(), content=body, headers={**TEXT, "Content-Encoding": "gzip"})).is_success


@pytest.mark.parametrize("way", WAYS)
async def test_a_beacon_of_another_session_is_refused(
    client: httpx.AsyncClient, live: Settings, player: Player, way: str
) -> None:
    reply = await client.post(Player(live).path(), **player.beacon(way, report(0)))
    assert problem(reply) == (404, "session-unknown")
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("headers", "body", "refusal"),
    [
        (TEXT, b"{", (400, "malformed-json")),
        (TEXT, b"\xff", (400, "malformed-json")),
        (TEXT, b"[]", (422, "report-invalid")),
        (TEXT, b'{"token": 1}', (422, "report-invalid")),
        (TEXT, b"{}", (401, "playback-token-invalid")),
        (TEXT, '{"token": "\u00e9"}'.encode(), (401, "playback-token-invalid")),
        (FORM, b"token=a.b.c", (422, "report-invalid")),
        (FORM, b"report={}", (401, "playback-token-invalid")),
        (FORM, b"report={}&token=a.b.c", (401, "playback-token-invalid")),
        (FORM, b"report=%ff", (400, "malformed-json")),
        (FORM, b"&".join([b"report={}"] * 9), (400, "malformed-json")),
        (TEXT, b" " * 1_048_577, (413, "body-too-large")),
        ({"Content-Type": "application/json"}, b"{}", (401, "playback-token-invalid")),
        ({}, b"{}", (401, "playback-token-invalid")),
    ],
)
async def test_a_beacon_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, player: Player, headers: dict[str, str], body: bytes, refusal: tuple[int, str]
) -> None:
    assert problem(await client.post(player.path(), content=body, headers=headers)) == refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"{", (400, "malformed-json")),
        (b"{}", (422, "report-invalid")),
        (msgspec.json.encode(report()), (422, "report-empty")),
        (msgspec.json.encode(report(*range(501))), (413, "report-too-large")),
    ],
    ids=range(4),
)
async def test_a_beacon_has_the_limits_of_a_report(
    client: httpx.AsyncClient, player: Player, body: bytes, refusal: tuple[int, str]
) -> None:
    reply = await client.post(player.path(), params={"token": player.token}, content=body, headers=TEXT)
    assert problem(reply) == refusal


async def test_a_query_that_cannot_be_read_is_refused(client: httpx.AsyncClient, player: Player) -> None:
    for query in ("token=%ff", "&".join(["token=a"] * 9)):
        reply = await client.post(f"{player.path()}?{query}", content=b"{}", headers=TEXT)
        assert problem(reply) == (400, "malformed-json")
    reply = await client.post(f"{player.path()}?token=", content=b"{}", headers=TEXT)
    assert problem(reply) == (401, "playback-token-invalid")


async def test_text_with_authorization_is_a_report_and_learns_its_results(
    client: httpx.AsyncClient, player: Player
) -> None:
    headers = {**TEXT, "Authorization": f"Bearer {player.token}"}
    reply = await client.post(player.path(), content=msgspec.json.encode(report(0)), headers=headers)
    assert reply.json()["results"] == [{"status": "ok", "seq": 0}]


async def test_a_page_may_compress_after_a_preflight(client: httpx.AsyncClient, player: Player) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    reply = await client.options(player.path(), headers=asked)
    assert "Content-Encoding" in reply.headers["access-control-allow-headers"].split(", ")


@pytest.mark.parametrize("way", WAYS)
async def test_no_log_and_no_reply_holds_the_token_of_a_beacon(
    client: httpx.AsyncClient, live: Settings, player: Player, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        taken = await client.post(player.path(), **player.beacon(way, report(0)))
        refused = await client.post(Player(live).path(), **player.beacon(way, report(0)))
        broken = await client.post(player.path(), **player.beacon(way, {"sent_at": "when"}))
    assert [reply.status_code for reply in (taken, refused, broken)] == [204, 404, 422]
    ours = [record for record in caplog.records if not record.name.startswith(NOT_OURS)]
    assert ours
    written = "\n".join(record.getMessage() for record in ours) + taken.text + refused.text + broken.text
    assert player.token not in written
    assert player.token.rpartition(".")[2] not in written
    assert "eyJ" not in redacted(f"POST {player.path()}?token={player.token}"), "should somebody log it"


def test_uvicorn_logs_no_request(live: Settings) -> None:
    config_of(create_app(live), live, port=0)
    assert not logging.getLogger("uvicorn.access").propagate


async def test_the_document_names_encodings_beacons_and_their_reply(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for what in ("events", "stop"):
        operation = document["paths"][f"/v1/playback/sessions/{{session_id}}/{what}"]["post"]
        assert list(operation["requestBody"]["content"]) == [
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
        ]
        assert "204" in operation["responses"]
        assert operation["responses"]["415"]["headers"]["Accept-Encoding"]["schema"]["const"].endswith("br, zstd")
        assert "encoding-malformed" in str(operation["responses"]["400"])
        [encodings] = [each["schema"]["enum"] for each in operation["parameters"] if each["in"] == "header"]
        assert {"gzip", "deflate", "br", "zstd"} < set(encodings)
