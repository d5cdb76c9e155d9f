"""Watch history on real stores: without what was taken out of it, and of one title."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from events.playback import WatchHistoryRemoved
from infra.ids import new_id
from projections.playback.watch_history_removed import RemovedFromHistory
from projections.stores.cassandra import CassandraStore
from tests.builders import recorded, session, watch_history_removed
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
    migrated_stores,
    running_query_api,
    viewer,
)
from tests.servers import Servers

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def stores(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    async with migrated_stores(servers, Path(tmp_path_factory.mktemp("watch-history"))) as stores:
        yield stores


@pytest.fixture(scope="module")
async def query_api(stores: Stores) -> AsyncIterator[QueryApi]:
    async with running_query_api(stores.settings) as api:
        await api.until_missing()
        yield api


@pytest.fixture
def profile_id() -> str:
    return new_id()


async def remove(stores: Stores, profile_id: str, sessions: dict[str, Any]) -> None:
    """What the projection makes of it."""
    view = RemovedFromHistory()
    store = CassandraStore(stores.settings, [view])
    await store.open()
    for session_id, started_at in sessions.items():
        of = session(session_id, profile_id=profile_id, started_at=started_at)
        told = recorded(watch_history_removed(of, at=NOW))
        assert isinstance(told.data, WatchHistoryRemoved)
        await store.save(view, view.project(told))
    await store.close()


def ids(pages: list[list[dict[str, object]]]) -> list[object]:
    return [item["session_id"] for page in pages for item in page]


async def test_what_was_taken_out_of_the_history_is_not_in_it(
    stores: Stores, query_api: QueryApi, profile_id: str
) -> None:
    starts = {f"s-{number}": NOW - timedelta(days=days) for number, days in enumerate((0, 0, 1, 40, 41, 200))}
    for session_id, started_at in starts.items():
        await stores.watched(profile_id, started_at, session_id)
    removed = {session_id: starts[session_id] for session_id in ("s-1", "s-4", "s-5")}
    await remove(stores, profile_id, removed)
    for limit in (1, 2, 100):
        path = f"/v1/profiles/{profile_id}/watch-history?limit={limit}"
        assert ids(await query_api.pages(path, who=viewer(profile_id))) == ["s-0", "s-2", "s-3"]


async def test_the_history_of_a_title_or_of_a_series_is_given_page_by_page(
    stores: Stores, query_api: QueryApi, profile_id: str
) -> None:
    sessions = [new_id() for _ in range(5)]
    for number, session_id in enumerate(sessions):
        episode = {"title_id": f"{profile_id}-e{number % 2}", "series_id": profile_id, "credits_start_ms": 20_000}
        await stores.session(session_id, profile_id, started_at=NOW - timedelta(days=number), **episode)
    await stores.session(new_id(), profile_id, title_id="another")
    await stores.postgres.execute("update playback_sessions set removed_at = now() where session_id = $1", sessions[2])
    path = f"/v1/profiles/{profile_id}/watch-history?limit=2&title="
    whole = await query_api.pages(path + profile_id, who=viewer(profile_id))
    assert ids(whole) == [sessions[0], sessions[1], sessions[3], sessions[4]]
    assert whole[0][0]["completed"] is True
    assert ids(await query_api.pages(f"{path}{profile_id}-e0", who=OPERATOR)) == [sessions[0], sessions[4]]
    refused = await query_api.get(path + profile_id, who=viewer("another-profile"))
    assert refused.status_code == 403


async def test_everything_that_is_kept_of_a_profile_is_exported(stores: Stores, profile_id: str) -> None:
    starts = {f"{profile_id}-{number}": NOW - timedelta(days=number * 20) for number in range(5)}
    for session_id, started_at in starts.items():
        await stores.watched(profile_id, started_at, session_id)
        await stores.session(session_id, profile_id, started_at=started_at, title_id=f"t-{started_at.day % 2}")
    gone = f"{profile_id}-3"
    await remove(stores, profile_id, {gone: starts[gone]})
    await stores.continue_watching(profile_id, "heat", 1, hidden=True)
    async with running_query_api(stores.settings.model_copy(update={"export_page_rows": 2})) as api:
        await api.until_missing()
        path = f"/v1/profiles/{profile_id}/playback-export"
        reply = await api.get(path, viewer(profile_id))
        refused = await api.get(path, viewer("another-profile"))
    assert (reply.headers["content-type"], refused.status_code) == ("application/x-ndjson", 403)
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert lines.pop() == {"kind": "end", "continue_watching": 1, "session": 5, "watched": 5}
    by_kind = {kind: [line[kind] for line in lines if line["kind"] == kind] for kind in ("session", "watched")}
    assert {row["session_id"] for row in by_kind["session"]} == set(starts)
    assert [row["session_id"] for row in by_kind["watched"]] == list(starts)
    assert [row["session_id"] for row in by_kind["watched"] if row["removed"]] == [gone]
    assert lines[0]["continue_watching"]["title_id"] == "heat"
