"""The commands API on real servers: what it takes, what it refuses by name, and what is on Kafka afterwards."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from fastapi import FastAPI

from commands.app import create_app
from commands.playback.leases import Ending
from events.envelope import Event, Recorded
from events.playback import PlaybackStarted, PlaybackStopped, Reported, TerminatedBy
from events.registry import REGISTRY
from events.topics import PLAYBACK
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.positions import parse_positions
from infra.postgres import Pool
from infra.settings import Settings
from tests import builders
from tests.integration.showing import shown
from tests.servers import Servers

pytestmark = pytest.mark.integration

EDITOR = Principal(subject="editor-1", roles=("editor",))
NOBODY_YET = Principal(subject="account-1", account_id="account-1")
VIEWER = Principal(subject="viewer-1", account_id="account-1", profile_id="profile-1")
MOVIE = {
    "name": "Sintel",
    "synopsis": "A girl looks for her dragon.",
    "duration_ms": 888_000,
    "credits_start_ms": 740_000,
    "maturity": {"system": "KR", "value": "12", "minimum_age": 12},
    "availability": [{"territories": ["KR"], "starts_at": "2026-01-01T00:00:00+09:00"}],
}
TV = {"device_id": "tv-1", "type": "tv"}
FILM = "film-for-commands"


@pytest.fixture(scope="module")
async def app(live: Settings) -> AsyncIterator[FastAPI]:
    opened = create_app(live)
    async with opened.router.lifespan_context(opened):
        await _until_ready(opened)
        yield opened


async def _until_ready(app: FastAPI) -> None:
    async with asyncio.timeout(20):
        while not app.state.resources.publisher.ready:
            await asyncio.sleep(0.05)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://commands") as client:
        yield client


@pytest.fixture(scope="module")
async def film(postgres: Pool) -> str:
    """A title in the read model, as the projection would have put it there."""
    await postgres.execute(
        """insert into catalog_titles (title_id, kind, name, synopsis, duration_ms, maturity_system, maturity_value,
               minimum_age, availability, seasons, published_at)
           values ($1, 'movie', 'Sintel', '', 888000, 'KR', '12', 12, '[]', '[]', now()),
                  ('series-for-commands', 'series', 'Harbour', '', null, 'KR', '12', 12, '[]', '[]', now())
           on conflict do nothing""",
        FILM,
    )
    await shown(postgres, FILM)
    return FILM


def by(live: Settings, principal: Principal) -> dict[str, str]:
    """The headers of a request that is sent once."""
    return {"Authorization": f"Bearer {Tokens(live).mint_access(principal)}", "Idempotency-Key": str(uuid4())}


async def start(client: httpx.AsyncClient, live: Settings, film: str, **body: Any) -> httpx.Response:
    return await client.post(
        "/v1/playback/sessions", json={"title_id": film, "device": TV, **body}, headers=by(live, VIEWER)
    )


async def started(client: httpx.AsyncClient, live: Settings, film: str) -> dict[str, Any]:
    reply: dict[str, Any] = (await start(client, live, film)).raise_for_status().json()
    return reply


def event(seq: int, **values: Any) -> dict[str, Any]:
    return {"type": "heartbeat", "seq": seq, "at": utc_now().isoformat(), "position_ms": 1_000 * seq, **values}


async def report(
    client: httpx.AsyncClient,
    session: dict[str, Any],
    *events: dict[str, Any],
    path: str = "events",
    to: str | None = None,
) -> httpx.Response:
    body = {"sent_at": utc_now().isoformat(), "events": events} if path == "events" else events[0]
    return await client.post(
        f"/v1/playback/sessions/{to or session['session_id']}/{path}",
        json=body,
        headers={"Authorization": f"Bearer {session['playback_token']}"},
    )


async def recorded_at(live: Settings, reply: httpx.Response) -> list[Recorded[Event]]:
    """The events on Kafka up to the position of a reply, newest last."""
    [position] = parse_positions(reply.headers["Playhead-Position"])
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(PLAYBACK.name, position.partition)
        consumer.assign([place])
        consumer.seek(place, max(0, position.position - 4))
        records: list[ConsumerRecord[bytes, bytes]] = []
        while not records or records[-1].offset < position.position:
            records += (await consumer.getmany(timeout_ms=500)).get(place, [])
        return [REGISTRY.decode(record.value) for record in records if record.offset <= position.position]
    finally:
        await consumer.stop()


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json()
    assert document["status"] == reply.status_code
    assert document["detail"]
    return reply.status_code, document["type"].rpartition("/")[2]


# Catalog


async def test_a_movie_is_published_once_however_often_the_request_comes(
    client: httpx.AsyncClient, live: Settings, postgres: Pool
) -> None:
    headers = {**by(live, EDITOR), "Idempotency-Key": str(uuid4())}
    first, again = [await client.post("/v1/catalog/movies", json=MOVIE, headers=headers) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.headers["etag"] == '"1"'
    assert first.headers["playhead-position"] == again.headers["playhead-position"]
    stream_id = f"catalog.title-{first.json()['id']}"
    assert await postgres.fetchval("select count(*) from event_log where stream_id = $1", stream_id) == 1


async def test_a_series_is_built_up_and_a_stale_editor_is_told(client: httpx.AsyncClient, live: Settings) -> None:
    headers = by(live, EDITOR)
    series = (
        await client.post(
            "/v1/catalog/series",
            json={"name": "Harbour", "synopsis": "A town waits.", "maturity": MOVIE["maturity"]},
            headers=headers,
        )
    ).json()["id"]
    season = {"season_number": 1, "name": "Season 1"}
    episode = {**MOVIE, "season_number": 1, "episode_number": 1}
    path = f"/v1/catalog/series/{series}"

    async def post(what: str, body: dict[str, Any], **more: str) -> httpx.Response:
        return await client.post(f"{path}/{what}", json=body, headers={**by(live, EDITOR), **more})

    assert problem(await post("episodes", episode)) == (409, "season-unknown")
    assert (await post("seasons", season)).json()["version"] == 2
    assert (await post("seasons", season)).json()["events"] == []
    assert problem(await post("episodes", episode, **{"If-Match": '"1"'})) == (412, "version-conflict")
    assert (await post("episodes", episode)).status_code == 201
    taken = await post("episodes", episode)
    assert problem(taken) == (409, "episode-number-taken")


async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient, live: Settings) -> None:
    headers = {**by(live, EDITOR), "Idempotency-Key": str(uuid4())}
    await client.post("/v1/catalog/movies", json=MOVIE, headers=headers)
    other = await client.post("/v1/catalog/movies", json={**MOVIE, "name": "Durian"}, headers=headers)
    assert problem(other) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"duration_ms": "long"}, (422, "invalid-request")),
        ({"duration_ms": 0}, (422, "invalid-request")),
        ({"name": "nul \x00"}, (422, "invalid-request")),
        ({"nmae": "Sintel"}, (422, "invalid-request")),
        ({"availability": [{"territories": ["Korea"]}]}, (422, "invalid-request")),
        ({"credits_start_ms": 888_000}, (422, "credits-outside-title")),
        (
            {
                "availability": [
                    {"territories": ["KR"], "starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}
                ]
            },
            (422, "window-empty"),
        ),
    ],
)
async def test_a_movie_of_the_wrong_shape_is_refused(
    client: httpx.AsyncClient, live: Settings, changes: dict[str, Any], refusal: tuple[int, str]
) -> None:
    reply = await client.post("/v1/catalog/movies", json={**MOVIE, **changes}, headers=by(live, EDITOR))
    assert problem(reply) == refusal


@pytest.mark.parametrize("path", ["movies", "series", "series/s/seasons", "series/s/episodes", "titles"])
async def test_a_command_that_could_not_be_recognised_again_is_refused(
    client: httpx.AsyncClient, live: Settings, path: str
) -> None:
    wanted = {"movies": MOVIE, "series": {k: MOVIE[k] for k in ("name", "synopsis", "maturity")}}
    wanted |= {"series/s/seasons": {"season_number": 1, "name": "S"}, "titles": {**MOVIE, "kind": "movie"}}
    wanted["series/s/episodes"] = {**MOVIE, "season_number": 1, "episode_number": 1}
    headers = by(live, EDITOR)
    del headers["Idempotency-Key"]
    reply = await client.post(f"/v1/catalog/{path}", json=wanted[path], headers=headers)
    assert problem(reply) == (400, "idempotency-key-missing")


async def test_only_editors_publish(client: httpx.AsyncClient, live: Settings) -> None:
    assert problem(await client.post("/v1/catalog/movies", json=MOVIE)) == (401, "unauthenticated")
    forbidden = await client.post("/v1/catalog/movies", json=MOVIE, headers=by(live, VIEWER))
    assert problem(forbidden) == (403, "scope-missing")


async def test_an_unknown_series_is_refused(client: httpx.AsyncClient, live: Settings) -> None:
    reply = await client.post(
        "/v1/catalog/series/nowhere/seasons", json={"season_number": 1, "name": "S"}, headers=by(live, EDITOR)
    )
    assert problem(reply) == (404, "series-unknown")


# Playback


async def test_a_session_is_granted_and_recorded(client: httpx.AsyncClient, live: Settings, film: str) -> None:
    reply = await start(client, live, film, start_position_ms=5_000)
    assert reply.status_code == 201
    granted = reply.json()
    assert granted["heartbeat_interval_s"] == live.heartbeat_interval_s
    assert granted["lease_expires_at"] < granted["token_expires_at"]
    recorded = (await recorded_at(live, reply))[-1]
    assert isinstance(recorded.data, PlaybackStarted)
    assert recorded.envelope.id == recorded.data.session.session_id == granted["session_id"]
    assert recorded.data.session.title.name == "Sintel"
    assert recorded.data.start_position_ms == 5_000


async def test_a_report_is_on_kafka_when_it_is_acknowledged(
    client: httpx.AsyncClient, live: Settings, film: str
) -> None:
    session = await started(client, live, film)
    reply = await report(client, session, event(0, type="started"), event(1), event(2, type="paused"))
    assert reply.status_code == 200
    assert [result["status"] for result in reply.json()["results"]] == ["ok", "ok", "ok"]
    assert reply.json()["lease_expires_at_ms"] > utc_now().timestamp() * 1000
    seqs = [r.data.report.seq for r in await recorded_at(live, reply) if isinstance(r.data, Reported)]
    assert seqs[-3:] == [0, 1, 2]


async def test_a_stop_ends_the_lease_and_late_events_are_kept(
    client: httpx.AsyncClient, live: Settings, film: str
) -> None:
    session = await started(client, live, film)
    now = utc_now().isoformat()
    stopped = await report(client, session, {"sent_at": now, "at": now, "seq": 9, "position_ms": 9_000}, path="stop")
    assert stopped.json() == {"results": [{"status": "ok", "seq": 9}], "lease_expires_at_ms": 0}
    assert isinstance((await recorded_at(live, stopped))[-1].data, PlaybackStopped)
    late = await report(client, session, event(8))
    assert late.json() == {"results": [{"status": "ok", "seq": 8}], "lease_expires_at_ms": 0}


async def test_a_second_start_of_the_same_session_is_refused(
    client: httpx.AsyncClient, live: Settings, film: str
) -> None:
    session_id = str(uuid4())
    assert (await start(client, live, film, session_id=session_id)).status_code == 201
    again = await start(client, live, film, session_id=session_id)
    assert problem(again) == (409, "session-already-started")


async def test_a_start_that_died_before_kafka_had_it_can_be_repeated(
    client: httpx.AsyncClient, app: FastAPI, live: Settings, film: str
) -> None:
    session_id = str(uuid4())
    dying = builders.session(session_id, account_id=VIEWER.account_id, profile_id=VIEWER.profile_id)
    ending = Ending(reason="replaced", by=TerminatedBy(), at=utc_now())
    await app.state.resources.leases.claim(dying, None, ending)  # and here the process was killed
    assert (await start(client, live, film, session_id=session_id)).status_code == 201


@pytest.mark.parametrize(
    ("title_id", "refusal"), [("nowhere", (404, "title-unknown")), ("series-for-commands", (409, "title-not-playable"))]
)
async def test_a_title_that_cannot_be_played_is_refused(
    client: httpx.AsyncClient, live: Settings, film: str, title_id: str, refusal: tuple[int, str]
) -> None:
    assert film
    assert problem(await start(client, live, title_id)) == refusal


async def test_only_a_profile_can_play(client: httpx.AsyncClient, live: Settings, film: str) -> None:
    body = {"title_id": film, "device": TV}
    for principal, refusal in ((NOBODY_YET, "profile-required"), (EDITOR, "scope-missing")):
        reply = await client.post("/v1/playback/sessions", json=body, headers=by(live, principal))
        assert problem(reply) == (403, refusal)


async def test_a_session_of_someone_else_and_an_unknown_one_are_refused(
    client: httpx.AsyncClient, live: Settings, film: str
) -> None:
    mine, theirs = await started(client, live, film), await started(client, live, film)
    assert problem(await report(client, mine, event(0), to=theirs["session_id"])) == (403, "session-not-yours")
    assert problem(await report(client, mine, event(0), to=str(uuid4()))) == (404, "session-unknown")


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
async def test_a_playback_token_that_does_not_hold_is_refused(client: httpx.AsyncClient, token: str) -> None:
    forged = {"session_id": str(uuid4()), "playback_token": token}
    assert problem(await report(client, forged, event(0))) == (401, "playback-token-invalid")


async def test_an_access_token_is_no_playback_token(client: httpx.AsyncClient, live: Settings, film: str) -> None:
    session = await started(client, live, film)
    session["playback_token"] = Tokens(live).mint_access(VIEWER)
    assert problem(await report(client, session, event(0))) == (401, "playback-token-invalid")


async def test_bad_events_are_named_and_their_neighbours_taken(
    client: httpx.AsyncClient, live: Settings, film: str
) -> None:
    session = await started(client, live, film)
    reply = await report(
        client,
        session,
        event(0),
        event(1, type="levitated"),
        event(2, position_ms="far"),
        event(3, position_ms=2_000_000),
        event(4, at="2031-01-01T00:00:00Z"),
    )
    assert [(result["status"], result.get("problem")) for result in reply.json()["results"]] == [
        ("ok", None),
        ("rejected", "event-type-unknown"),
        ("rejected", "event-invalid"),
        ("rejected", "position-beyond-duration"),
        ("warning", "time-in-future"),
    ]
    seqs = [r.data.report.seq for r in await recorded_at(live, reply) if isinstance(r.data, Reported)]
    assert seqs[-2:] == [0, 4]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"{", (400, "malformed-json")),
        (b'{"sent_at": 1}', (422, "report-invalid")),
        (msgspec.json.encode({"sent_at": utc_now(), "events": []}), (422, "report-empty")),
        (msgspec.json.encode({"sent_at": utc_now(), "events": [{}] * 501}), (413, "report-too-large")),
        (b" " * 1_048_577, (413, "body-too-large")),
    ],
    ids=range(5),
)
async def test_a_report_that_cannot_be_read_is_refused(
    client: httpx.AsyncClient, live: Settings, film: str, body: bytes, refusal: tuple[int, str]
) -> None:
    session = await started(client, live, film)
    reply = await client.post(
        f"/v1/playback/sessions/{session['session_id']}/events",
        content=body,
        headers={"Authorization": f"Bearer {session['playback_token']}"},
    )
    assert problem(reply) == refusal


async def test_a_route_that_is_not_there_and_a_method_that_is_not_taken_are_problems_too(
    client: httpx.AsyncClient,
) -> None:
    assert problem(await client.get("/v1/nowhere")) == (404, "no-such-route")
    assert problem(await client.get("/v1/playback/sessions")) == (405, "method-not-allowed")


async def test_a_reply_carries_the_correlation_id_that_came(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health", headers={"X-Correlation-Id": "mine"})).headers["x-correlation-id"] == "mine"
    assert (await client.get("/health")).headers["x-correlation-id"]


async def test_every_operation_is_documented_with_an_example(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]) >= {
        "/v1/playback/sessions",
        "/v1/playback/sessions/{session_id}/events",
        "/v1/playback/sessions/{session_id}/stop",
        "/v1/catalog/movies",
    }
    for path in document["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in str(operation["responses"])
            if "requestBody" not in operation:
                continue  # the path says all
            for body in operation["requestBody"]["content"].values():
                schema = body["schema"].get("$ref", "").rpartition("/")[2]
                assert "example" in body or "examples" in document["components"]["schemas"][schema]


async def test_kafka_away_is_a_503_and_nothing_acknowledged_is_lost(
    client: httpx.AsyncClient, app: FastAPI, live: Settings, film: str, servers: Servers
) -> None:
    session = await started(client, live, film)
    await report(client, session, event(0))
    servers.stop("kafka")
    refused = await report(client, session, event(1))
    assert problem(refused) == (503, "kafka-unavailable")
    assert int(refused.headers["retry-after"]) > 0
    await asyncio.to_thread(servers.start, "kafka")
    async with asyncio.timeout(30):
        while (reply := await report(client, session, event(1))).status_code == 503:
            await asyncio.sleep(0.2)
    assert reply.json()["results"] == [{"status": "ok", "seq": 1}]
    assert app.state.resources.publisher.ready
    assert {r.data.report.seq for r in await recorded_at(live, reply) if isinstance(r.data, Reported)} >= {0, 1}


async def test_redis_away_keeps_taking_reports(
    client: httpx.AsyncClient, live: Settings, film: str, servers: Servers
) -> None:
    session = await started(client, live, film)
    servers.stop("redis")
    try:
        reply = await report(client, session, event(1))
        assert reply.json() == {"results": [{"status": "ok", "seq": 1}]}
    finally:
        await asyncio.to_thread(servers.start, "redis")
