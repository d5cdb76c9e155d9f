"""The history over HTTP: pages, formats, filters, and what it refuses."""

import asyncio
import csv
from io import StringIO
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from audits.http.asking import Gone, while_here
from infra.settings import Settings
from tests.audits.http.conftest import EDITOR, EVENTS, signed_in

ARCHIVED = {"without": ["kafka", "log"]}


async def asked(client: httpx.AsyncClient, path: str = "", **parameters: Any) -> httpx.Response:
    return await client.get(f"/v1/audit/history{path}", params={**ARCHIVED, **parameters})


def slug(reply: httpx.Response) -> str:
    return str(reply.json()["type"]).rpartition("/")[2]


async def test_events_come_in_order_with_all_that_their_envelopes_say(auditor: httpx.AsyncClient) -> None:
    page = (await asked(auditor, account="account-1")).json()
    assert [item["id"] for item in page["items"]] == [event.id for event in EVENTS[:6]]
    first = page["items"][0]
    assert (first["place"], first["read_from"], first["session_id"]) == ("playback.events:0:0", "archive", "session-1")
    assert first["data"]["territory"] == "KR"
    assert first["history_time"] == "2026-11-21T19:00:00Z"
    assert page["next_cursor"] is None


async def test_pages_follow_each_other_until_the_end(auditor: httpx.AsyncClient) -> None:
    seen, cursor, pages = list[str](), None, 0
    while True:
        page = (await asked(auditor, limit=3, **({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        pages, cursor = pages + 1, page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(event.id for event in EVENTS)
    assert pages == 3


async def test_a_cursor_is_good_for_its_own_question(auditor: httpx.AsyncClient) -> None:
    cursor = (await asked(auditor, limit=1)).json()["next_cursor"]
    other = await asked(auditor, limit=1, cursor=cursor, account="account-1")
    assert (other.status_code, slug(other)) == (400, "cursor-invalid")
    made_up = await asked(auditor, cursor="made-up")
    assert (made_up.status_code, slug(made_up)) == (400, "cursor-invalid")


async def test_json_lines_and_csv_without_a_limit_are_everything(auditor: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.settings = app.state.settings.model_copy(update={"export_page_rows": 2})
    lines = [msgspec.json.decode(line) for line in (await asked(auditor, format="jsonl")).text.splitlines()]
    assert len(lines) == len(EVENTS)
    header, *rows = csv.reader(StringIO((await asked(auditor, format="csv", fields="id,place")).text, newline=""))
    assert header == ["id", "place"]
    assert [row[0] for row in rows] == [line["id"] for line in lines]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"title": "heat"}, 1),
        ({"type": "playback.PlaybackStarted"}, 2),
        ({"type": ["playback.PlaybackStarted", "catalog.*"]}, 3),
        ({"session": "session-2"}, 1),
        ({"topic": "catalog.events"}, 1),
        ({"from": "2026-11-21T19:00:20Z", "to": "2026-11-21T19:00:50Z"}, 3),
        ({"from": "2026-11-22T04:00:20+09:00", "account": "account-1"}, 4),
        ({"event": EVENTS[0].id}, 1),
    ],
)
async def test_a_filter_lets_through_what_fits(auditor: httpx.AsyncClient, filters: dict[str, Any], count: int) -> None:
    assert len((await asked(auditor, **filters)).json()["items"]) == count


async def test_what_cannot_be_asked_is_refused_with_what_can(auditor: httpx.AsyncClient) -> None:
    unknown = await asked(auditor, topic="playbak.events")
    assert (unknown.status_code, slug(unknown)) == (422, "question-invalid")
    assert "playback.events" in unknown.json()["detail"]
    backwards = await asked(auditor, **{"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"})
    assert (backwards.status_code, slug(backwards)) == (422, "question-invalid")
    naive = await asked(auditor, **{"from": "2026-11-22T00:00:00"})
    assert (naive.status_code, slug(naive)) == (422, "invalid-request")


async def test_a_source_that_is_away_is_named(auditor: httpx.AsyncClient) -> None:
    reply = await auditor.get("/v1/audit/history", params={"without": "log"})
    assert (reply.status_code, slug(reply)) == (503, "history-source-away")
    assert "kafka" in reply.json()["detail"]


async def test_what_is_left_out_is_said_to_lack(auditor: httpx.AsyncClient) -> None:
    assert (await asked(auditor)).json()["lacks"] != []


async def test_only_auditors_may_ask(stranger: httpx.AsyncClient, settings: Settings) -> None:
    assert (await asked(stranger)).status_code == 401
    assert (await asked(signed_in(stranger, settings, EDITOR))).status_code == 403


async def test_who_waits_too_long_for_a_turn_is_told_to_come_back(auditor: httpx.AsyncClient, app: FastAPI) -> None:
    most = app.state.settings.audits_max_concurrency
    turns = [app.state.auditing.turn() for _ in range(most)]
    for turn in turns:
        await turn.__aenter__()
    busy = await asked(auditor)
    assert (busy.status_code, slug(busy), busy.headers["retry-after"]) == (503, "audits-busy", "7")
    await turns[0].__aexit__(None, None, None)
    assert (await asked(auditor)).status_code == 200


async def test_what_is_read_for_a_client_that_goes_away_ends() -> None:
    ended = asyncio.Event()

    async def scan() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    class Leaving:
        async def receive(self) -> dict[str, str]:
            return {"type": "http.disconnect"}

    with pytest.raises(Gone):
        await while_here(Leaving(), scan())  # type: ignore[arg-type]  # a request, as far as it is asked
    assert ended.is_set()


async def test_a_file_that_was_changed_is_named(auditor: httpx.AsyncClient, settings: Settings) -> None:
    [file] = (settings.state_dir / "archive" / "topics" / "catalog.events").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-40])
    damaged = await asked(auditor, topic="catalog.events")
    assert (damaged.status_code, slug(damaged)) == (503, "archive-damaged")
    assert file.name in damaged.json()["detail"]


async def test_trees_need_the_event_to_be_there(auditor: httpx.AsyncClient) -> None:
    tree = (await asked(auditor, "/tree", event=EVENTS[0].id)).json()
    assert [(branch["depth"], branch["event"]["id"]) for branch in tree["items"]] == [(0, EVENTS[0].id)]
    unknown = await asked(auditor, "/tree", event="nothing")
    assert (unknown.status_code, slug(unknown)) == (404, "not-in-history")


async def test_probes_say_what_is_missing(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/health")).status_code == 200
    ready = await stranger.get("/ready")
    assert (ready.status_code, list(ready.json()["missing"])) == (503, ["postgres"])
    assert (await stranger.get("/metrics")).status_code == 200
