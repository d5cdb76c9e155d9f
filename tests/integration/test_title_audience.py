"""Audience queries over a real Postgres, whose views the projection's own engine filled from events."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from events.types import Availability, ProfileId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from query_api.audience.hotness import WINDOWS
from query_api.audience.windows import started
from query_api.catalog.filters import Statement
from tests.builders import (
    MINUTE_MS,
    episode,
    episode_published,
    movie,
    movie_published,
    playback_expired,
    playback_started,
    reported,
    series_published,
    session,
)
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.query_api_stores import QueryApi, running_query_api, settings_of, viewer
from tests.servers import Servers

pytestmark = pytest.mark.integration

ANALYST = Principal(subject="analyst-1", roles=("analyst",))
ANYONE = viewer("viewer-1")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
FILM_MS = 10 * MINUTE_MS
COUNTRY = "ZQ"  # of these tests alone
HERE = (Availability((COUNTRY,), NEW_YEAR),)


@pytest.fixture(scope="module")
async def views(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogViews]:
    settings = settings_of(servers, Path(tmp_path_factory.mktemp("title-audience")))
    async with catalog_views(settings.model_copy(update={"trending_min_starts": 5})) as views:
        yield views


@pytest.fixture(scope="module")
async def query_api(views: CatalogViews) -> AsyncIterator[QueryApi]:
    async with running_query_api(views.settings) as api:
        yield api


async def film(views: CatalogViews, **details: Any) -> str:
    """A film of ten minutes that the catalog has."""
    title_id = f"film-{new_id()}"
    await views.apply([movie_published(title_id, **{"availability": HERE, "duration_ms": FILM_MS, **details})])
    return title_id


def plays(
    title: str | p.TitleSnapshot, at: datetime, minutes: int = 0, *, who: str = "anna", territory: str = COUNTRY
) -> list[Envelope[Event]]:
    """A session that shows a frame, is watched for as many minutes, and is expired."""
    snapshot = movie(title, duration_ms=FILM_MS, credits_start_ms=None) if isinstance(title, str) else title
    of = session(f"s-{new_id()}", title=snapshot, profile_id=ProfileId(who), started_at=at)
    end = at + timedelta(minutes=minutes + 10)
    return [
        playback_started(of, territory=territory),
        reported(p.Started, 0, of=of, startup_ms=500),
        *(reported(p.Heartbeat, seq, of=of) for seq in range(1, 6 * minutes + 1)),
        playback_expired(of, at=end, position_ms=minutes * MINUTE_MS),
    ]


async def apply(views: CatalogViews, *sessions: Sequence[Envelope[Event]]) -> None:
    await views.apply([event for events in sessions for event in events], PLAYBACK.name)


async def asked(query_api: QueryApi, path: str, who: Principal = ANALYST) -> Any:
    reply = await query_api.get(path, who)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def ranked(query_api: QueryApi, path: str) -> list[str]:
    items = (await asked(query_api, path, ANYONE))["items"]
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    return [item["title_id"] for item in items]


async def test_an_audience_is_what_its_sessions_come_to(views: CatalogViews, query_api: QueryApi) -> None:
    title_id = await film(views)
    evening = NEW_YEAR + 20 * HOUR
    await apply(
        views,
        plays(title_id, evening, 9, who="anna"),
        plays(title_id, evening + HOUR, 3, who="ben"),
        plays(title_id, evening + HOUR + HOUR / 2, 0, who="anna", territory="DE"),
        plays(title_id, evening + DAY, 10, who="cleo"),
        [playback_started(session(new_id(), title=movie(title_id), started_at=evening), territory=COUNTRY)],
        plays(title_id, NEW_YEAR + 9 * DAY, 10),
    )
    path = f"/v1/titles/{title_id}/audience?from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z"
    found = await asked(query_api, path)
    assert (found["from"], found["to"], found["interval"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "day")
    assert (found["plays"], found["starts"], found["completion_rate"]) == (5, 4, 0.5)
    assert found["watched_hours"] == round(22 / 60, 3)
    assert found["peak_hour"] == {"begin": "2026-01-01T21:00:00Z", "starts": 2}
    assert [(one["begin"], one["starts"]) for one in found["buckets"]] == [
        (f"2026-01-0{day}T00:00:00Z", starts) for day, starts in ((1, 3), (2, 1))
    ]
    profiles = found["unique_profiles"]
    assert (profiles["estimate"], profiles["standard_error"]) == (3, 0.023)
    assert (profiles["from"], profiles["to"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
    german = await asked(query_api, f"{path}&territory=DE")
    assert (german["starts"], german["unique_profiles"]) == (1, None)


async def test_days_and_hours_are_shown_in_the_zone_that_is_asked_for(views: CatalogViews, query_api: QueryApi) -> None:
    title_id = await film(views)
    await apply(views, plays(title_id, NEW_YEAR + 14 * HOUR), plays(title_id, NEW_YEAR + 15 * HOUR))
    path = f"/v1/titles/{title_id}/audience?from=2026-01-01T14:00:00Z&to=2026-01-01T15:30:00Z&zone=Asia/Seoul"
    by_day = (await asked(query_api, path))["buckets"]
    assert [(one["begin"], one["starts"]) for one in by_day] == [
        ("2026-01-01T00:00:00+09:00", 1),
        ("2026-01-02T00:00:00+09:00", 1),
    ]
    by_hour = await asked(query_api, f"{path}&interval=hour")
    assert [one["begin"] for one in by_hour["buckets"]] == ["2026-01-01T23:00:00+09:00", "2026-01-02T00:00:00+09:00"]
    assert by_hour["peak_hour"]["begin"] == "2026-01-01T23:00:00+09:00"


async def test_what_comes_late_and_twice_corrects_the_hour_it_belongs_to(
    views: CatalogViews, query_api: QueryApi
) -> None:
    title_id = await film(views)
    events = plays(title_id, NEW_YEAR, 9)
    path = f"/v1/titles/{title_id}/audience?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z"
    await apply(views, events[5::2], events[:5])
    before = await asked(query_api, path)
    await apply(views, events[::-1], events)
    after = await asked(query_api, path)
    assert (before["starts"], after["starts"], after["completion_rate"]) == (1, 1, 1.0)
    assert before["watched_hours"] <= after["watched_hours"] == 0.15


async def test_retention_is_the_share_that_watched_each_percent_and_where_it_falls(
    views: CatalogViews, query_api: QueryApi
) -> None:
    title_id = await film(views)
    minutes = (2, 2, 2, 5, 10)
    await apply(views, *(plays(title_id, NEW_YEAR + day * DAY, each) for day, each in enumerate(minutes)))
    found = await asked(query_api, f"/v1/titles/{title_id}/retention?from=2026-01-01T00:00:00Z&to=2026-01-06T00:00:00Z")
    shares = [point["share"] for point in found["curve"]]
    assert (found["starts"], shares) == (5, [1.0] * 20 + [0.4] * 30 + [0.2] * 50)
    assert found["curve"][20] == {"percent": 20, "position_ms": 120_000, "watched": 2, "share": 0.4, "left": 3}
    assert [(one["percent"], one["position_ms"], one["fall"], one["left"]) for one in found["drop_offs"]] == [
        (20, 120_000, 0.6, 3),
        (50, 300_000, 0.2, 1),
    ]
    one_day = await asked(
        query_api, f"/v1/titles/{title_id}/retention?from=2026-01-05T08:00:00Z&to=2026-01-05T09:00:00Z"
    )
    assert {point["share"] for point in one_day["curve"]} == {1.0}


async def test_hotness_weighs_the_views_of_a_day_a_week_and_a_month(views: CatalogViews, query_api: QueryApi) -> None:
    title_id, now = await film(views), utc_now()
    ages = (timedelta(), 2 * HOUR, 2 * DAY, 8 * DAY, 31 * DAY)
    await apply(views, *(plays(title_id, now - age) for age in ages))
    found = await asked(query_api, f"/v1/titles/{title_id}/hotness")
    assert (found["views_24h"], found["views_7d"], found["views_30d"]) == (2, 3, 4)
    assert (found["content_hotness"], found["tier"]) == ((2 * 0.5 + 3 * 0.3 + 4 * 0.2) / 10_000, "cold")


@pytest.mark.parametrize("now", [NEW_YEAR, NEW_YEAR + 13 * HOUR + HOUR / 2, NEW_YEAR + DAY - HOUR])
async def test_windows_begin_at_their_hour(views: CatalogViews, now: datetime) -> None:
    title_id = await film(views)
    ages = (0, 23, 24, 25, 167, 168, 169, 719, 720, 721)
    await apply(views, *(plays(title_id, now - age * HOUR) for age in ages))
    statement = Statement()
    sql = started(statement, WINDOWS, now, title_id=title_id)
    [row] = await views.pool.fetch(sql, *statement.values)
    assert dict(row) == {"title_id": title_id, "day": 2, "week": 5, "month": 8}


async def test_the_hottest_titles_are_listed_by_tier(views: CatalogViews, query_api: QueryApi) -> None:
    """Whose starts are so many that they are put into the table as the projection adds them up."""
    warm, hot = await film(views), await film(views)
    starts = [(warm, utc_now(), 5_000), (hot, utc_now(), 8_000)]
    for insert in (
        "title_audience_by_hour values ($1, $1, date_trunc('hour', $2::timestamptz), null, $3, $3, 0, 0)",
        "title_starts_by_day values ($1, $1, date_trunc('day', $2::timestamptz, 'UTC'), null, $3)",
    ):
        await views.pool.executemany(f"insert into {insert}", starts)
    items = (await asked(query_api, "/v1/audience/hotness?limit=100"))["items"]
    assert [(item["title_id"], item["content_hotness"]) for item in items if item["title_id"] in (warm, hot)] == [
        (hot, 0.8),
        (warm, 0.5),
    ]
    tiers = {tier: (await asked(query_api, f"/v1/audience/hotness?tier={tier}"))["items"] for tier in ("hot", "warm")}
    assert hot in [item["title_id"] for item in tiers["hot"]] and {item["tier"] for item in tiers["hot"]} == {"hot"}
    assert warm in [item["title_id"] for item in tiers["warm"]]
    for table in ("title_audience_by_hour", "title_starts_by_day"):
        await views.pool.execute(f"delete from {table} where key = any($1)", [warm, hot])


async def test_popular_titles_are_ranked_by_starts_in_a_country_and_of_a_genre(
    views: CatalogViews, query_api: QueryApi
) -> None:
    genre, now = f"genre-{new_id()}", utc_now()
    often, seldom, elsewhere, closed = [
        await film(views, genres=(genre,), **details)
        for details in ({}, {}, {}, {"availability": (Availability(("DE",), NEW_YEAR),)})
    ]
    await apply(
        views,
        *(plays(often, now - HOUR) for _ in range(3)),
        plays(seldom, now),
        *(plays(seldom, now - 30 * HOUR) for _ in range(5)),
        *(plays(elsewhere, now, territory="DE") for _ in range(9)),
        *(plays(closed, now) for _ in range(9)),
    )
    path = f"/v1/catalog/popular?genre={genre}"
    assert await ranked(query_api, f"{path}&territory={COUNTRY}") == [often, seldom]
    assert await ranked(query_api, f"{path}&territory={COUNTRY}&hours=48") == [seldom, often]
    assert await ranked(query_api, f"{path}&limit=1") == [min(elsewhere, closed)]
    assert set((await ranked(query_api, path))[:2]) == {elsewhere, closed}
    assert await ranked(query_api, f"{path}-other") == []


async def test_an_episode_counts_for_its_series(views: CatalogViews, query_api: QueryApi) -> None:
    series_id, genre = f"series-{new_id()}", f"genre-{new_id()}"
    await views.apply(
        [
            series_published(series_id, genres=(genre,)),
            *(episode_published(number, series_id=series_id, availability=HERE) for number in (1, 2)),
        ]
    )
    alone = await film(views, genres=(genre,))
    episodes = [episode(number, series_id=series_id) for number in (1, 1, 2)]
    await apply(views, *(plays(each, utc_now()) for each in episodes), *(plays(alone, utc_now()) for _ in range(2)))
    path = f"/v1/catalog/popular?genre={genre}&territory={COUNTRY}"
    assert await ranked(query_api, path) == [series_id, alone]
    assert await ranked(query_api, f"{path}&kind=movie") == [alone]


async def test_trending_titles_rise_against_their_own_week(views: CatalogViews, query_api: QueryApi) -> None:
    genre, now = f"genre-{new_id()}", utc_now()
    steady, rising, new, few = [await film(views, genres=(genre,)) for _ in range(4)]
    usual = [now - day * DAY - 2 * HOUR for day in range(1, 8)]
    await apply(
        views,
        *(plays(steady, at) for at in usual for _ in range(8)),
        *(plays(steady, now) for _ in range(8)),
        *(plays(rising, at) for at in usual[:4]),
        *(plays(rising, now) for _ in range(12)),
        *(plays(new, now) for _ in range(6)),
        *(plays(few, now) for _ in range(4)),  # less than settings.trending_min_starts
    )
    assert await ranked(query_api, f"/v1/catalog/trending?genre={genre}&territory={COUNTRY}") == [rising, new]


@pytest.mark.parametrize(
    "path",
    [
        "titles/t-1/audience?zone=Mars/Phobos",
        "titles/t-1/audience?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "titles/t-1/audience?from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "titles/t-1/audience?from=2026-01-01T00:00:00Z&to=2026-02-15T00:00:00Z&interval=hour",
        "titles/t-1/audience?from=2026-01-01T00:00:00",
        "titles/t-1/audience?to=9999-12-31T23:59:59Z",
        "titles/t-1/audience?to=0001-01-01T00:00:00Z",
        "titles/t-1/audience?interval=minute",
        "titles/t-1/retention?from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "audience/hotness?tier=lukewarm",
        "audience/hotness?limit=101",
        "catalog/popular?hours=169",
        "catalog/popular?hours=0",
        "catalog/popular?territory=kr",
        "catalog/trending?limit=0",
    ],
)
async def test_what_cannot_be_answered_is_refused(query_api: QueryApi, path: str) -> None:
    who = ANYONE if path.startswith("catalog") else ANALYST
    reply = await query_api.get(f"/v1/{path}", who)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "invalid-request"), reply.text


@pytest.mark.parametrize("what", ["audience", "retention", "hotness"])
async def test_a_title_that_the_catalog_does_not_have_is_unknown(query_api: QueryApi, what: str) -> None:
    reply = await query_api.get(f"/v1/titles/{new_id()}/{what}", ANALYST)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (404, "title-unknown")


@pytest.mark.parametrize(
    "path", ["titles/t-1/audience", "titles/t-1/retention", "titles/t-1/hotness", "audience/hotness"]
)
async def test_numbers_are_for_who_may_see_what_everybody_watches(query_api: QueryApi, path: str) -> None:
    reply = await query_api.get(f"/v1/{path}", ANYONE)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (403, "scope-missing")
