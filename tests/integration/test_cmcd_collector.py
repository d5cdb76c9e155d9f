"""The CMCD collector as players meet it: over sockets, on real servers, with the recordings of real players."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY as METRICS

from commands.playback.leases import Ending
from events.playback import PlaybackCmcdReported, PlaybackCmcdRequested, TerminatedBy
from events.types import AccountId, Sealed
from infra.clock import utc_now
from infra.ids import new_id
from infra.redis import connect
from infra.settings import Settings
from tests.commands.playback.cmcd.recorded import NAMES, RECORDINGS, records, requests
from tests.integration.collectors import CMCD, PAGE, Kafka, Viewing, collector, kafka_of

pytestmark = pytest.mark.integration

LINE: Final = b'e=t,sid="8e0c",sn=%d,sta=p,ts=1795245293460,v=2\n'
V1: Final = 'br=3200,bs,cid="f08e",d=4004,nor="..%2F300kbps%2Ftrack.m4v",ot=v,sf=h,sid="6e2f",st=v,tb=6000'
HEADERS: Final = {"CMCD-Object": "br=3200,d=4004,ot=v", "CMCD-Session": 'sid="6e2f",sf=h', "CMCD-Status": "bs"}


@pytest.fixture(scope="module")
async def served(live: Settings) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    async with collector(live) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(served: tuple[FastAPI, httpx.AsyncClient]) -> httpx.AsyncClient:
    return served[1]


@pytest.fixture(scope="module")
async def kafka(live: Settings) -> AsyncIterator[Kafka]:
    async with kafka_of(live) as opened:
        yield opened


@pytest.fixture
def viewing(live: Settings) -> Viewing:
    return Viewing(live)


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


def counted(name: str, **labels: str) -> float:
    return METRICS.get_sample_value(name, labels) or 0.0


async def replay(client: httpx.AsyncClient, viewing: Viewing, path: Path) -> list[httpx.Response]:
    """Send a recording again as its player did: to the collector, one request after another."""
    replies = []
    for sent in requests(path):
        if sent["kind"] == "collect":
            reply = await client.post(viewing.url(), content=sent["body"].encode(), headers=CMCD)
        else:
            query = sent["url"].partition("?")[2]
            said = {name: value for name, value in sent["headers"].items() if name.startswith("cmcd-")}
            reply = await client.get(viewing.url() + (f"&{query}" if query else ""), headers={"Origin": PAGE, **said})
        replies.append(reply)
    return replies


# --- recordings of real players


@pytest.mark.parametrize("path", RECORDINGS, ids=NAMES)
async def test_every_record_of_a_real_player_is_taken_and_its_deviations_counted(
    client: httpx.AsyncClient, live: Settings, kafka: Kafka, path: Path
) -> None:
    player = {"hlsjs": "hls.js", "dashjs": "dash.js"}[path.stem.partition("-")[0]]
    viewing, sent = Viewing(live, player=player), records(path)
    expected = {deviation: 0 for record in sent for deviation in record.mended}
    before = {name: counted("playhead_cmcd_deviations_total", player=player, deviation=name) for name in expected}
    replies = await replay(client, viewing, path)
    assert {(reply.status_code, reply.content) for reply in replies} == {(204, b"")}
    assert {reply.headers["access-control-allow-origin"] for reply in replies} == {PAGE}
    events = await kafka.events(viewing, replies)
    assert [event.data.record for event in events] == sent
    for name in expected:
        now = counted("playhead_cmcd_deviations_total", player=player, deviation=name)
        assert now - before[name] == sum(name in record.mended for record in sent)
    assert len({event.envelope.id for event in events}) == len({_known_by(record, n) for n, record in enumerate(sent)})


def _known_by(record: Any, number: int) -> object:
    """What tells a record from others: of a request without a number, that it came; else the record."""
    if record.e is None and record.ts is None:
        return number
    if record.sn is None:
        return (record.e, record.ts)
    return (record.sid, record.sn, record.ts, record.e)


# --- ways to send it


async def test_lines_json_query_and_headers_are_taken(
    client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka
) -> None:
    url, as_json = viewing.url(), {"Content-Type": "application/json", "Origin": PAGE}
    replies = [
        await client.post(url, content=LINE % 0 + LINE % 1, headers=CMCD),
        await client.post(url, content=LINE % 2, headers={"Content-Type": "text/cmcd; charset=utf-8"}),
        await client.post(url, content=gzip.compress(LINE % 3), headers={**CMCD, "Content-Encoding": "gzip"}),
        await client.post(url, json={"e": "ps", "sta": "p", "sn": 4, "sid": "8e0c", "ts": 5, "v": 2}, headers=as_json),
        await client.post(url, json=[{"br": 3200, "sid": "6e2f"}, {"br": [3200], "v": 2}], headers=as_json),
        await client.get(url, params={"token": viewing.token, "CMCD": V1}),
        await client.post(url, params={"token": viewing.token, "CMCD": V1}),
        await client.get(url, headers=HEADERS),
    ]
    assert [reply.status_code for reply in replies] == [204] * 8
    events = await kafka.events(viewing, replies)
    assert [event.data.record.sn for event in events] == [0, 1, 2, 3, 4, None, None, None, None, None]
    kinds = [type(event.data) for event in events]
    assert kinds == [PlaybackCmcdReported] * 5 + [PlaybackCmcdRequested] * 5
    assert events[-1].data.record.bs


async def test_a_token_in_authorization_will_do(client: httpx.AsyncClient, viewing: Viewing) -> None:
    headers = {**CMCD, "Authorization": f"Bearer {viewing.token}"}
    assert (await client.post(viewing.bare_url, content=LINE % 0, headers=headers)).status_code == 204


async def test_targets_are_told_apart(client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka) -> None:
    replies = [await client.post(viewing.url(name), content=LINE % 0) for name in ("a", "b", None)]
    events = await kafka.events(viewing, replies)
    assert [event.data.target for event in events] == ["a", "b", "default"]
    assert len({event.envelope.id for event in events}) == 3


@pytest.mark.parametrize("name", ["%20", "a/b", "x" * 65, "%00", ""])
async def test_a_target_has_a_plain_name(client: httpx.AsyncClient, viewing: Viewing, name: str) -> None:
    reply = await client.post(f"{viewing.url()}&target={name}", content=LINE % 0, headers=CMCD)
    assert problem(reply) == (422, "cmcd-target-invalid")


async def test_keys_that_nobody_knows_are_kept(client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka) -> None:
    said = b'com.example-mood="good",e=ce,cen="like",new=(1 2;v),sn=0,sid="a",ts=1795245293460,v=2\n'
    [event] = await kafka.events(viewing, [await client.post(viewing.url(), content=said, headers=CMCD)])
    others = {other.key: other.value for other in event.data.record.others}
    assert others == {"com.example-mood": '"good"', "new": "(1 2;v)"}


# --- what cannot be read


async def test_a_line_that_cannot_be_read_spoils_no_neighbour(
    client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka
) -> None:
    before = counted("playhead_cmcd_unreadable_total", reason="malformed")
    reply = await client.post(viewing.url(), content=LINE % 0 + b'broken="\n' + LINE % 1, headers=CMCD)
    assert [event.data.record.sn for event in await kafka.events(viewing, [reply])] == [0, 1]
    assert counted("playhead_cmcd_unreadable_total", reason="malformed") == before + 1


@pytest.mark.parametrize("body", [b"", b"\n\n", b'broken="', b"\xff\x00", b"e=t," * 4_000, b'e="' + b"x" * 9_000])
async def test_a_body_without_a_record_is_refused_with_the_reasons(
    client: httpx.AsyncClient, viewing: Viewing, body: bytes
) -> None:
    reply = await client.post(viewing.url(), content=body, headers=CMCD)
    assert problem(reply) == (400, "cmcd-unreadable")
    assert reply.json()["unreadable"][0]["reason"]
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'{"e": {"a": 1}}', b"[1]"])
async def test_json_without_a_record_is_refused(client: httpx.AsyncClient, viewing: Viewing, body: bytes) -> None:
    reply = await client.post(viewing.url(), content=body, headers={"Content-Type": "application/json"})
    assert problem(reply) == (400, "cmcd-unreadable")


async def test_what_a_body_may_hold_is_bounded(client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka) -> None:
    lines = b"".join(LINE % n for n in range(501))
    events = await kafka.events(viewing, [await client.post(viewing.url(), content=lines, headers=CMCD)])
    assert [event.data.record.sn for event in events] == list(range(500))
    for body, coding in ((b" " * 1_048_577, "identity"), (gzip.compress(b" " * 1_048_577), "gzip")):
        reply = await client.post(viewing.url(), content=body, headers={**CMCD, "Content-Encoding": coding})
        assert problem(reply) == (413, "body-too-large")


# --- what players act on


async def test_a_page_asks_once_whether_it_may_send_and_is_remembered(
    client: httpx.AsyncClient, viewing: Viewing
) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,cmcd-object,cmcd-request,cmcd-session,cmcd-status",
    }
    reply = await client.options(viewing.url(), headers=asked)
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert int(reply.headers["access-control-max-age"]) >= 600
    allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
    assert set(asked["Access-Control-Request-Headers"].split(",")) <= set(allowed)


async def test_a_token_that_does_not_hold_is_refused_where_the_page_can_read_it(
    client: httpx.AsyncClient, viewing: Viewing, live: Settings
) -> None:
    for url in (viewing.bare_url, f"{viewing.bare_url}?token=a.b.c"):
        reply = await client.post(url, content=LINE % 0, headers=CMCD)
        assert problem(reply) == (401, "playback-token-invalid")
        assert reply.headers["access-control-allow-origin"] == PAGE
    other = await client.post(f"{Viewing(live).bare_url}?token={viewing.token}", content=LINE % 0, headers=CMCD)
    assert other.status_code in (403, 404)


async def stop(client: httpx.AsyncClient, viewing: Viewing) -> None:
    at = viewing.session.started_at.isoformat()
    body = {"sent_at": at, "at": at, "seq": 9, "position_ms": 5}
    path = viewing.bare_url.replace("/cmcd", "/stop")
    (await client.post(path, json=body, headers={"Authorization": f"Bearer {viewing.token}"})).raise_for_status()


async def test_a_player_of_an_ended_session_is_told_to_stop_and_what_it_sent_is_kept(
    client: httpx.AsyncClient, viewing: Viewing, kafka: Kafka
) -> None:
    first = await client.post(viewing.url(), content=LINE % 0, headers=CMCD)
    await stop(client, viewing)
    gone = await client.post(viewing.url(), content=LINE % 1, headers=CMCD)
    assert (first.status_code, gone.status_code) == (204, 410)
    assert gone.headers["access-control-allow-origin"] == PAGE
    events = await kafka.events(viewing, [first, gone])
    assert [e.data.record.sn for e in events if isinstance(e.data, PlaybackCmcdReported)] == [0, 1]


async def test_a_player_whose_session_was_ended_from_elsewhere_is_told_why(
    served: tuple[FastAPI, httpx.AsyncClient], live: Settings
) -> None:
    app, client = served
    viewing = Viewing(live, account_id=AccountId(new_id()))
    await client.post(viewing.url(), content=LINE % 0, headers=CMCD)
    ending = Ending(reason="remote", by=TerminatedBy(device_name=Sealed("Kitchen")), at=utc_now())
    await app.state.resources.leases.terminate(viewing.session.account_id, viewing.session.session_id, ending)
    gone = await client.post(viewing.url(), content=LINE % 1, headers=CMCD)
    assert problem(gone) == (410, "session-terminated")
    assert (gone.json()["reason"], gone.json()["ended_by"]["device_name"]) == ("remote", "Kitchen")
    assert gone.headers["access-control-allow-origin"] == PAGE


async def test_dash_js_which_takes_410_for_an_outage_is_let_finish(client: httpx.AsyncClient, live: Settings) -> None:
    """It would send its whole queue again at every event, and show the page an error each time."""
    viewing = Viewing(live, player="dash.js")
    await client.post(viewing.url(), content=LINE % 0, headers=CMCD)
    await stop(client, viewing)
    assert (await client.post(viewing.url(), content=LINE % 1, headers=CMCD)).status_code == 204


async def test_a_session_whose_player_only_sends_cmcd_stays_alive(client: httpx.AsyncClient, live: Settings) -> None:
    viewing = Viewing(live, account_id=AccountId(new_id()))
    session, redis = viewing.session, connect(live)
    assert (await client.post(viewing.url(), content=LINE % 0, headers=CMCD)).status_code == 204
    lease = await redis.hget(f"playback:{{{session.account_id}}}:leases", session.session_id)
    await redis.aclose()
    assert lease is not None
    assert int(lease.split()[0]) / 1_000 > utc_now().timestamp() + live.lease_s / 2


async def test_a_player_that_resends_all_it_keeps_is_not_limited(client: httpx.AsyncClient, viewing: Viewing) -> None:
    """dash.js sends up to 27 requests a second after an outage; a minute of that is 1,620."""
    for _ in range(27):
        replies = await asyncio.gather(*(client.post(viewing.url(), content=LINE % n, headers=CMCD) for n in range(60)))
        assert {reply.status_code for reply in replies} == {204}


async def test_who_is_limited_after_all_learns_it_across_origins(live: Settings) -> None:
    async with collector(live.model_copy(update={"rate_cmcd": "2 per 60 s"})) as (_, client):
        viewing = Viewing(live)
        replies = [await client.post(viewing.url(), content=LINE % n, headers=CMCD) for n in range(3)]
        assert [reply.status_code for reply in replies] == [204, 204, 429]
        assert problem(replies[2]) == (429, "rate-limited")
        assert int(replies[2].headers["retry-after"]) > 0
        assert replies[2].headers["access-control-allow-origin"] == PAGE
        report = {"sent_at": viewing.session.started_at.isoformat(), "events": []}
        path = viewing.bare_url.replace("/cmcd", "/events")
        reply = await client.post(path, json=report, headers={"Authorization": f"Bearer {viewing.token}"})
        assert problem(reply) == (422, "report-empty"), "its reports are counted apart"


async def test_what_kafka_did_not_take_is_asked_for_again_where_the_page_can_read_it(
    live: Settings, viewing: Viewing
) -> None:
    nowhere = live.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    async with collector(nowhere, awaits_kafka=False) as (_, client):
        reply = await client.post(viewing.url(), content=LINE % 0, headers=CMCD)
        assert problem(reply) == (503, "kafka-unavailable")
        assert reply.headers["access-control-allow-origin"] == PAGE


async def test_the_document_shows_the_collector(client: httpx.AsyncClient) -> None:
    path = (await client.get("/openapi.json")).json()["paths"]["/v1/playback/sessions/{session_id}/cmcd"]
    assert list(path["post"]["requestBody"]["content"]) == ["application/cmcd", "text/cmcd", "application/json"]
    assert {"204", "400", "401", "410", "429", "503"} <= set(path["post"]["responses"])
    assert json.dumps(path["get"]).count("cmcd-unreadable")
