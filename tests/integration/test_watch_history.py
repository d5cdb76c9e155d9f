"""Watch history on real stores: without what was taken out of it, and of one title."""

import json
from datetime import timedelta
from typing import Any

import pytest

from events.playback import WatchHistoryRemoved
from infra.access.permissions import Principal
from infra.ids import new_id
from projections.playback.watch_history_removed import RemovedFromHistory
from projections.stores.cassandra import CassandraStore
from tests.builders import recorded, session, watch_history_removed
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
    running_query_api,
    viewer,
)

pytestmark = pytest.mark.integration

ANALYST = Principal(subject="analyst", roles=("analyst",))
ADD_SCREEN_TIME = """
    insert into profile_screen_time_by_hour (key, account_id, profile_id, hour, sessions, minutes)
    values ($1 || $2, $1, $2, '2026-01-01T00:00:00Z', 1, 20)
"""
ADD_PROFILE = """
    insert into identity_profiles (account_id, profile_id, name, language, kids, has_pin, preferences, created_at)
    values ($1, $2, '', 'nl', false, false, '{}', now())
"""


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


async def test_everything_that_is_kept_of_an_account_is_exported_profile_by_profile_also_of_deleted_ones(
    stores: Stores,
) -> None:
    account_id, *profile_ids = sorted(new_id() for _ in range(4))
    deleted = profile_ids[-1]
    await stores.postgres.execute(ADD_SCREEN_TIME, account_id, deleted)
    for profile_id in profile_ids:
        if profile_id != deleted:
            await stores.postgres.execute(ADD_PROFILE, account_id, profile_id)
        for number in range(3):
            session_id, started_at = f"{profile_id}-{number}", NOW - timedelta(days=number)
            await stores.watched(profile_id, started_at, session_id)
            await stores.session(session_id, profile_id, account_id=account_id, started_at=started_at)
    await stores.continue_watching(profile_ids[1], "heat", 1)
    await stores.session(new_id(), new_id(), account_id="household-1")
    owner = Principal(subject="owner", account_id=account_id)
    child = Principal(subject="child", account_id=account_id, profile_id=profile_ids[0], maturity_limit=12)
    path = f"/v1/accounts/{account_id}/playback-export"
    async with running_query_api(stores.settings.model_copy(update={"export_page_rows": 2})) as api:
        await api.until_missing()
        replies = [await api.get(path, who) for who in (owner, ANALYST)]
        refused = [await api.get(path, who) for who in (child, viewer("another-profile"))]
    assert [reply.json()["type"].rpartition("/")[2] for reply in refused] == 2 * ["not-your-account"]
    for reply in replies:
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")
        lines = [json.loads(line) for line in reply.text.splitlines()]
        assert lines.pop() == {"kind": "end", "profile": 3, "continue_watching": 1, "session": 9, "watched": 9}
        whose = ""
        for line in lines:
            told = line[line["kind"]]
            whose = told["profile_id"] if line["kind"] == "profile" else whose
            assert told.get("profile_id", whose) == whose
            assert told.get("session_id", whose).startswith(whose) or line["kind"] == "continue_watching"
        assert [line["profile"]["profile_id"] for line in lines if line["kind"] == "profile"] == profile_ids


async def test_an_account_without_profiles_has_an_empty_export(query_api: QueryApi) -> None:
    account_id = new_id()
    owner = Principal(subject="owner", account_id=account_id)
    reply = await query_api.get(f"/v1/accounts/{account_id}/playback-export", owner)
    assert reply.json() == {"kind": "end", "profile": 0, "continue_watching": 0, "session": 0, "watched": 0}


async def test_an_export_is_refused_while_one_of_its_stores_is_away(stores: Stores, profile_id: str) -> None:
    async with running_query_api(stores.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})) as api:
        await api.until_missing("redis")
        reply = await api.get(f"/v1/profiles/{profile_id}/playback-export", viewer(profile_id))
    assert (reply.status_code, reply.json()["store"]) == (503, "redis")
