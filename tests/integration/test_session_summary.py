"""A session's summary: from its events, through the engine and a real Postgres, to what the query API answers."""

import asyncio
import os
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from events.types import AccountId, ProfileId
from infra.ids import new_id
from infra.postgres import MIGRATIONS, connect, migrate
from tests.builders import (
    EVENING,
    cmcd_reported,
    device,
    episode,
    playback_expired,
    playback_started,
    playback_terminated,
    reported,
    session,
)
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.query_api_stores import OPERATOR, QueryApi, viewer

pytestmark = pytest.mark.integration

LATER = EVENING + timedelta(hours=1)


@pytest.fixture
def of() -> p.SessionSnapshot:
    """An episode on a television, of a viewer of its own."""
    tv = device(platform="tizen", os="Tizen 8", model="S90D", player="made-up", player_version="2.1", app_version="8.4")
    owner = new_id()
    return session(new_id(), account_id=AccountId(owner), profile_id=ProfileId(owner), title=episode(1), device=tv)


def evening(of: p.SessionSnapshot) -> list[Envelope[Event]]:
    """Ten seconds, a jump, a stall of four seconds, and ten more."""

    def at(said: type[p.Report], seq: int, seconds: int, position_s: int, **values: Any) -> Envelope[Event]:
        time = EVENING + timedelta(seconds=seconds)
        return reported(said, seq, of=of, time=time, position_ms=position_s * 1000, **values)

    return [
        playback_started(of, territory="KR", entitled_by="subscription"),
        at(p.Started, 0, 1, 0, startup_ms=820, bitrate_kbps=3_000, cdn="made-up-cdn", cdn_edge="icn-2"),
        at(p.Seeked, 1, 11, 600, from_ms=10_000),
        at(p.Heartbeat, 2, 17, 606, bitrate_kbps=6_000, dropped_frames=2),
        at(p.BufferingStarted, 3, 21, 610),
        at(p.BufferingEnded, 4, 25, 610),
        at(p.Heartbeat, 5, 35, 620),
    ]


async def read(api: QueryApi, of: p.SessionSnapshot) -> dict[str, object]:
    reply = await api.get(f"/v1/playback/sessions/{of.session_id}", who=OPERATOR)
    assert reply.status_code == 200, reply.text
    body: dict[str, object] = reply.json()
    return body


async def test_a_session_s_summary_says_how_it_was_watched(
    views: CatalogViews, query_api: QueryApi, of: p.SessionSnapshot
) -> None:
    for event in evening(of):  # each a slab of its own: every row goes through Postgres between two events
        await views.apply([event], PLAYBACK.name)
    await views.apply([cmcd_reported(of=of)], PLAYBACK.name)
    assert await read(query_api, of) == {
        "session_id": of.session_id,
        "account_id": of.account_id,
        "profile_id": of.profile_id,
        "title_id": "harbour-s1e1",
        "title_name": "Episode 1",
        "title_kind": "episode",
        "series_id": "harbour",
        "series_name": "Harbour",
        "season_number": 1,
        "episode_number": 1,
        "duration_ms": 2_400_000,
        "credits_start_ms": None,
        "next_title_id": "harbour-s1e2",
        "device_id": "tv-1",
        "device_type": "tv",
        "device_name": "Den",
        "platform": "tizen",
        "os": "Tizen 8",
        "model": "S90D",
        "player": "made-up",
        "player_version": "2.1",
        "app_version": "8.4",
        "cdn": "made-up-cdn",
        "cdn_edge": "icn-2",
        "offline": False,
        "territory": "KR",
        "entitled_by": "subscription",
        "limit_unchecked": False,
        "state": "playing",
        "started_at": "2026-11-21T19:00:00Z",
        "last_at": "2026-11-21T19:00:35Z",
        "last_recorded_at": "2026-11-21T19:00:35.040000Z",
        "last_seq": 5,
        "position_ms": 620_000,
        "event_count": 7,
        "cmcd_count": 1,
        "startup_ms": 820,
        "watched": [[0, 10_000], [600_000, 620_000]],
        "watched_ms": 30_000,
        "completion": 0.0125,
        "playing_ms": 30_000,
        "ad_ms": 0,
        "stall_count": 1,
        "stalled_ms": 4_000,
        "rebuffering_ratio": 4 / 34,
        "average_bitrate_kbps": round((3_000 * 16 + 6_000 * 14) / 30),
        "dropped_frames": 2,
        "error_count": 0,
        "fatal_error_code": None,
        "exited_before_video": False,
        "ended_at": None,
        "exit_reason": None,
        "ended_by": None,
    }


async def test_events_in_any_order_and_twice_give_the_same_summary(
    views: CatalogViews, query_api: QueryApi, of: p.SessionSnapshot
) -> None:
    for event in [*evening(of)[::-2], *evening(of)[::2], *evening(of)]:
        await views.apply([event], PLAYBACK.name)
    summary = await read(query_api, of)
    other = session(new_id(), profile_id=of.profile_id, account_id=of.account_id, title=of.title, device=of.device)
    await views.apply(evening(other), PLAYBACK.name)
    assert summary == await read(query_api, other) | {"session_id": of.session_id}


async def test_a_viewer_sees_who_ended_the_session(
    views: CatalogViews, query_api: QueryApi, of: p.SessionSnapshot
) -> None:
    await views.apply([*evening(of), playback_terminated(of, at=LATER)], PLAYBACK.name)
    reply = await query_api.get(f"/v1/playback/sessions/{of.session_id}", who=viewer(of.profile_id))
    body = reply.json()
    assert (body["state"], body["exit_reason"], body["ended_at"]) == (
        "terminated",
        "terminated",
        "2026-11-21T20:00:00Z",
    )
    assert body["ended_by"] == {
        "profile_id": of.profile_id,
        "session_id": None,
        "device_name": "Kitchen",
        "title_name": "Sintel",
    }


async def test_a_session_that_expired_stays_so_and_counts_what_comes_late(
    views: CatalogViews, query_api: QueryApi, of: p.SessionSnapshot
) -> None:
    *early, last = evening(of)
    await views.apply([*early, playback_expired(of, at=LATER)], PLAYBACK.name)
    await views.apply([last], PLAYBACK.name)
    summary = await read(query_api, of)
    assert (summary["state"], summary["exit_reason"], summary["watched_ms"]) == ("expired", "expired", 30_000)


async def test_sessions_from_before_summaries_go_on_where_they_were(views: CatalogViews) -> None:
    dsn, name = views.settings.postgres_dsn, f"before_{os.getpid()}"
    administrator = await asyncpg.connect(dsn)
    await administrator.execute(f"create database {name}")
    settings = views.settings.model_copy(update={"postgres_dsn": f"{dsn.rpartition('/')[0]}/{name}"})
    try:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connect"] = partial(connect, settings)
        await asyncio.to_thread(command.upgrade, config, "0011")
        old = await connect(settings)
        await old.execute(SESSIONS_BEFORE, EVENING)
        await old.close()
        await migrate(settings)
        async with catalog_views(settings) as migrated:
            events = [reported(p.Heartbeat, seq, of=session(each)) for each in ("playing", "stopped") for seq in (6, 7)]
            await migrated.apply(events, PLAYBACK.name)
            rows = await migrated.pool.fetch(
                "select state, exit_reason, event_count, last_seq, watched_ms from playback_sessions order by 1 desc"
            )
            assert [tuple(row) for row in rows] == [("playing", None, 9, 7, 10_000), ("ended", "stopped", 9, 7, 0)]
    finally:
        await administrator.execute(f"drop database {name} with (force)")
        await administrator.close()


SESSIONS_BEFORE = """
    insert into playback_sessions (
        session_id, account_id, profile_id, title_id, title_name, title_kind, device_id, device_type, state, state_seq,
        started_at, last_at, last_seq, position_ms, duration_ms, event_count, seen, error_count, end_reason, ended_at
    )
    select id, 'a', 'p', 't', 'T', 'movie', 'd', 'tv', state, 5, $1, $1, 5, 50000, 5400000, 7, '-1..5', 0, reason, $1
    from (values ('playing', 'playing', null), ('stopped', 'ended', 'stopped')) as before (id, state, reason)
"""
