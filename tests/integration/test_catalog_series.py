"""A series and its viewer's progress over a real Postgres, whose views the engine filled from events."""

from datetime import timedelta
from typing import Any

import pytest

from events import playback as p
from events.titles import LocalizedText, Season
from events.topics import PLAYBACK
from events.types import ProfileId
from infra.clock import utc_now
from infra.ids import new_id
from tests.builders import (
    episode,
    episode_moved,
    episode_published,
    playback_started,
    reported,
    season_added,
    series_published,
    session,
)
from tests.builders import title_withdrawn as withdrawn
from tests.integration.catalog_views import CatalogViews
from tests.integration.query_api_stores import OPERATOR, QueryApi, viewer

pytestmark = pytest.mark.integration

NOW = utc_now()
PLACES = [(0, 1), (1, 1), (1, 2), (2, 1)]


@pytest.fixture
async def series_id(views: CatalogViews) -> str:
    """A series of a special, two episodes, and one in season 2; season 3 is empty."""
    series_id = new_id()
    texts = (LocalizedText("en", "Night Ferry"), LocalizedText("ko", "밤배"))
    seasons = tuple(Season(number, f"Season {number}") for number in (0, 1, 2))
    episodes = [episode_published(number, season=season, series_id=series_id) for season, number in PLACES]
    series = series_published(series_id, texts=texts, seasons=seasons)
    await views.apply([series, season_added(3, series_id=series_id), *episodes])
    return series_id


async def watch(
    views: CatalogViews, place: tuple[str, int, int], profile_id: str, *, minutes: float, hour: int
) -> None:
    """A session of an episode of 40 minutes, begun in an hour, that came this far."""
    series_id, season, number = place
    of = session(
        new_id(),
        profile_id=ProfileId(profile_id),
        started_at=NOW + timedelta(hours=hour),
        title=episode(number, season=season, series_id=series_id),
    )
    left_at = of.started_at + timedelta(minutes=minutes)
    left = reported(p.Stopped, 1, of=of, time=left_at, position_ms=int(minutes * 60_000))
    await views.apply([playback_started(of), reported(p.Started, 0, of=of, position_ms=0), left], PLAYBACK.name)


async def next_episode(query_api: QueryApi, series_id: str, profile_id: str) -> str | None:
    page = (await query_api.get(f"/v1/catalog/series/{series_id}", who=viewer(profile_id))).json()
    if page["next_episode"] is None:
        return None
    return str(page["next_episode"]["title_id"]).removeprefix(f"{series_id}-")


async def test_a_series_page_counts_its_episodes_and_is_localised(query_api: QueryApi, series_id: str) -> None:
    path = f"/v1/catalog/series/{series_id}"
    page = (await query_api.get(path, viewer("nobody"), {"Accept-Language": "ko"})).json()
    assert (page["name"], page["kind"]) == ("밤배", "series")
    counts = [(season["number"], season["episode_count"]) for season in page["seasons"]]
    assert counts == [(0, 1), (1, 2), (2, 1), (3, 0)]
    assert page["next_episode"]["series_name"] == "밤배"
    assert page["next_episode"]["progress"] is None
    assert (await query_api.get(path, OPERATOR)).json()["next_episode"] is None  # a token without a profile


async def test_the_next_episode_follows_what_the_viewer_watched(
    views: CatalogViews, query_api: QueryApi, series_id: str, profile_id: str
) -> None:
    course: list[tuple[tuple[int, int], float, str | None]] = [
        ((1, 1), 10, "s1e1"),  # in the middle of it
        ((1, 2), 0.3, "s1e1"),  # opened and left again: R4
        ((1, 1), 39, "s1e2"),  # completed
        ((1, 2), 38, "s2e1"),  # across seasons
        ((2, 1), 37, None),  # all seen
        ((1, 1), 5, "s1e1"),  # again
    ]
    assert await next_episode(query_api, series_id, profile_id) == "s1e1"  # specials come last
    for hour, ((season, number), minutes, expected) in enumerate(course):
        await watch(views, (series_id, season, number), profile_id, minutes=minutes, hour=hour)
        assert await next_episode(query_api, series_id, profile_id) == expected


async def test_the_next_episode_is_never_a_withdrawn_one(
    views: CatalogViews, query_api: QueryApi, series_id: str, profile_id: str
) -> None:
    await watch(views, (series_id, 1, 1), profile_id, minutes=38, hour=0)
    await views.apply([withdrawn(episode_published(2, season=1, series_id=series_id))])
    assert await next_episode(query_api, series_id, profile_id) == "s2e1"


async def test_episodes_show_how_far_the_viewer_came(
    views: CatalogViews, query_api: QueryApi, series_id: str, profile_id: str
) -> None:
    await watch(views, (series_id, 1, 1), profile_id, minutes=38, hour=0)
    await watch(views, (series_id, 1, 1), profile_id, minutes=3, hour=1)  # again: completed stays
    await watch(views, (series_id, 1, 2), profile_id, minutes=10, hour=2)
    await watch(views, (series_id, 1, 2), profile_id, minutes=0.2, hour=3)  # does not count
    await watch(views, (series_id, 2, 1), new_id(), minutes=10, hour=4)  # someone else
    path = f"/v1/catalog/series/{series_id}/episodes"
    for limit in (1, 100):
        pages = await query_api.pages(f"{path}?limit={limit}", who=viewer(profile_id))
        found: list[dict[str, Any]] = [item for page in pages for item in page]
        assert [(one["season_number"], one["episode_number"]) for one in found] == PLACES
        progress = [one["progress"] and (one["progress"]["position_ms"], one["progress"]["completed"]) for one in found]
        assert progress == [None, (180_000, True), (600_000, False), None]
        assert [one["progress"] and one["progress"]["completion"] for one in found] == [None, 0.95, 0.25, None]
    season_1 = await query_api.pages(f"{path}?season_number=1&limit=1", who=viewer(profile_id))
    assert [item["episode_number"] for page in season_1 for item in page] == [1, 2]


async def test_a_withdrawn_series_takes_its_page_and_episodes_along_and_leaves_sessions(
    views: CatalogViews, query_api: QueryApi, series_id: str, profile_id: str
) -> None:
    await watch(views, (series_id, 1, 1), profile_id, minutes=10, hour=0)
    episodes = [episode_published(number, season=season, series_id=series_id) for season, number in PLACES]
    await views.apply([withdrawn(series_published(series_id)), *map(withdrawn, episodes)])
    for path in (f"/v1/catalog/series/{series_id}", f"/v1/catalog/series/{series_id}/episodes"):
        assert (await query_api.get(path, who=viewer(profile_id))).status_code == 404
    sessions = await views.pool.fetchval("select count(*) from playback_sessions where profile_id = $1", profile_id)
    assert sessions == 1


async def test_a_moved_episode_is_listed_where_it_is_now(
    views: CatalogViews, query_api: QueryApi, series_id: str
) -> None:
    await views.apply([episode_moved(f"{series_id}-s1e1", 7, season=2, series_id=series_id)])
    path = f"/v1/catalog/series/{series_id}/episodes"
    found = (await query_api.get(path, who=viewer("nobody"), position=views.position)).json()["items"]
    assert [(one["season_number"], one["episode_number"]) for one in found] == [(0, 1), (1, 2), (2, 1), (2, 7)]


async def test_what_is_no_series_has_no_series_page(query_api: QueryApi, series_id: str) -> None:
    for path in (f"/v1/catalog/series/{series_id}-s1e1", "/v1/catalog/series/never-was"):
        reply = await query_api.get(path, who=viewer("nobody"))
        assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (404, "title-unknown")
