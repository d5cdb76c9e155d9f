"""Quality by time: from players' events, through the engine and a real Postgres, to what the query API answers."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from infra.access.permissions import Principal
from infra.ids import new_id
from tests.builders import device, movie, playback_started, reported, session
from tests.integration.catalog_views import CatalogViews
from tests.integration.query_api_stores import QueryApi, running_query_api

pytestmark = pytest.mark.integration

ANALYST = Principal(subject="analyst-1", roles=("analyst",))
EVENING = datetime(2026, 7, 1, 19, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(scope="module")
async def query_api(views: CatalogViews) -> AsyncIterator[QueryApi]:
    settings = views.settings.model_copy(update={"quality_max_rows": 60, "quality_max_errors": 2})
    async with running_query_api(settings) as api:
        yield api


@pytest.fixture
def film() -> str:
    """A title that only one test plays."""
    return f"film-{new_id()}"


def sitting(
    film: str, begin: datetime, *, startup_ms: int = 800, cdn: str | None = None, on: str = "tv", app: str | None = None
) -> list[Envelope[Event]]:
    """Twenty seconds of 3 Mbit/s with a stall of one second between."""
    of = session(new_id(), title=movie(film), started_at=begin, device=device(type=on, app_version=app))

    def at(said: type[p.Report], seq: int, seconds: int, position_s: int, **values: Any) -> Envelope[Event]:
        return reported(said, seq, of=of, time=begin + seconds * SECOND, position_ms=position_s * 1000, **values)

    return [
        playback_started(of, territory="KR"),
        at(p.Started, 0, 1, 0, startup_ms=startup_ms, bitrate_kbps=3_000, cdn=cdn),
        at(p.BufferingStarted, 1, 11, 10),
        at(p.BufferingEnded, 2, 12, 10),
        at(p.Heartbeat, 3, 22, 20),
    ]


def gone(film: str, begin: datetime, *said: type[p.Report], **values: Any) -> list[Envelope[Event]]:
    """A session of which nothing was seen."""
    of = session(new_id(), title=movie(film), started_at=begin)
    return [playback_started(of), *(reported(each, seq, of=of, **values) for seq, each in enumerate(said))]


async def ask(api: QueryApi, film: str, **asked: str) -> list[dict[str, Any]]:
    """The items of a reply; from EVENING for five hours unless asked otherwise."""
    asked = {"from": "2026-07-01T19:00:00Z", "to": "2026-07-02T00:00:00Z", "title_id": film, **asked}
    query = "&".join(f"{name}={value}" for name, value in asked.items() if value is not None)
    reply = await api.get(f"/v1/quality?{query}", who=ANALYST)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


async def test_the_numbers_of_an_hour_are_those_of_its_sessions(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    played = [event for n in range(10) for event in sitting(film, EVENING + n * MINUTE, startup_ms=500 + 100 * n)]
    failed = [
        *gone(film, EVENING, p.Failed, code="E1", fatal=True),
        *gone(film, EVENING, p.Failed, p.Failed, code="E2"),
        *gone(film, EVENING, p.Failed, code="E3"),
        *gone(film, EVENING, p.Stopped),
    ]
    await views.apply([*played, *failed], PLAYBACK.name)
    [item] = await ask(query_api, film)
    p50, p95 = item.pop("startup_ms_p50"), item.pop("startup_ms_p95")
    assert (p50, p95) == (pytest.approx(900, rel=0.1), pytest.approx(1_400, rel=0.1))
    assert item == {
        "begins_at": "2026-07-01T19:00:00Z",
        "group": {},
        "plays": 14,
        "starts": 10,
        "exits_before_video": 1,
        "exits_before_video_ratio": 1 / 14,
        "start_failures": 1,
        "start_failure_ratio": 1 / 14,
        "playback_failures": 0,
        "playback_failure_ratio": 0.0,
        "startup_ms_average": 950,
        "playing_ms": 200_000,
        "watched_ms": 200_000,
        "stalled_ms": 10_000,
        "stall_count": 10,
        "stalled_plays": 10,
        "stalled_play_ratio": 1.0,
        "rebuffering_ratio": 10 / 210,
        "average_bitrate_kbps": 3_000,
        "dropped_frames": 0,
        "error_count": 4,
        "errors": [{"code": "E2", "count": 2}, {"code": "E1", "count": 1}],
    }


async def test_any_order_slabs_and_resends_give_the_same_numbers(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    dice, other = random.Random(film), f"{film}-again"
    for title in (film, other):
        begins = [EVENING + n * 13 * MINUTE for n in range(12)]
        sittings = [sitting(title, at, cdn="ab"[n % 2], startup_ms=300 * n) for n, at in enumerate(begins)]
        events = [event for each in sittings for event in each]
        if title == other:
            await views.apply(events, PLAYBACK.name)
            continue
        shuffled = dice.sample(events + events[::3], len(events + events[::3]))
        for cut in range(0, len(shuffled), 7):
            await views.apply(shuffled[cut : cut + 7], PLAYBACK.name)
    for interval in ("minute", "hour", "day"):
        asked = {"interval": interval, "group_by": "cdn,country"}
        assert await ask(query_api, film, **asked) == await ask(query_api, other, **asked) != []


async def test_what_comes_a_day_late_corrects_the_minute_that_its_session_started_in(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    early, later = sitting(film, EVENING + 5 * MINUTE), sitting(film, EVENING + 8 * MINUTE)
    await views.apply([*early[:2], *later], PLAYBACK.name)
    before = await ask(query_api, film, interval="minute")
    await views.apply(early[2:], PLAYBACK.name)
    after = await ask(query_api, film, interval="minute")
    assert [(item["begins_at"], item["playing_ms"]) for item in before] == [
        ("2026-07-01T19:05:00Z", 0),
        ("2026-07-01T19:08:00Z", 20_000),
    ]
    assert [item["playing_ms"] for item in after] == [20_000, 20_000]
    assert after[1] == before[1]


async def test_sessions_are_told_apart_and_chosen_by_what_they_say(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    await views.apply(
        [
            *sitting(film, EVENING, cdn="a", app="8.4"),
            *sitting(film, EVENING, cdn="b", app="8.4"),
            *sitting(film, EVENING, cdn="b", on="phone"),
        ],
        PLAYBACK.name,
    )

    def plays(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(*item["group"].values(), item["plays"]) for item in items]

    assert plays(await ask(query_api, film, group_by="cdn")) == [("a", 1), ("b", 2)]
    grouped = await ask(query_api, film, group_by="device_type,app_version")
    assert plays(grouped) == [("phone", None, 1), ("tv", "8.4", 2)]
    assert plays(await ask(query_api, film, group_by="device_type", cdn="b&cdn=c")) == [("phone", 1), ("tv", 1)]
    assert plays(await ask(query_api, film, app_version="")) == [(1,)]
    assert plays(await ask(query_api, film, country="NL")) == []


async def test_days_are_those_of_the_zone_however_long_they_are(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    in_summer = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # a day of 25 hours in Amsterdam
    await views.apply(
        [*sitting(film, in_summer), *sitting(film, in_summer + 24 * HOUR), *sitting(film, in_summer + 25 * HOUR)],
        PLAYBACK.name,
    )
    asked = {"from": "2026-10-25T00:00:00Z", "to": "2026-10-26T12:00:00Z", "zone": "Europe/Amsterdam"}
    days = await ask(query_api, film, interval="day", **asked)
    assert [(item["begins_at"], item["plays"]) for item in days] == [
        ("2026-10-25T00:00:00+02:00", 2),
        ("2026-10-26T00:00:00+01:00", 1),
    ]


async def test_hours_of_a_zone_half_an_hour_away_are_counted_rightly(
    views: CatalogViews, query_api: QueryApi, film: str
) -> None:
    await views.apply(
        [*sitting(film, EVENING + 29 * MINUTE), *sitting(film, EVENING + 30 * MINUTE)],
        PLAYBACK.name,
    )
    hours = await ask(query_api, film, zone="Asia/Kolkata")
    assert [(item["begins_at"], item["plays"]) for item in hours] == [
        ("2026-07-02T00:00:00+05:30", 1),
        ("2026-07-02T01:00:00+05:30", 1),
    ]


async def test_the_last_intervals_are_shown_unless_asked_otherwise(query_api: QueryApi, film: str) -> None:
    reply = (await query_api.get(f"/v1/quality?interval=minute&title_id={film}", who=ANALYST)).json()
    begin, end = (datetime.fromisoformat(reply[name]) for name in ("begins_at", "ends_at"))
    assert (reply["items"], reply["group_by"]) == ([], [])
    assert timedelta(minutes=60) <= end - begin <= timedelta(minutes=61)


@pytest.mark.parametrize(
    "asked",
    [
        "from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z&interval=minute",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z&interval=day",
        "from=9999-12-31T23:00:00Z&to=9999-12-31T23:59:59Z",
        "to=0001-01-01T00:00:00Z",
        "from=yesterday",
        "interval=week",
        "zone=Europe/Atlantis",
        "zone=../../etc/passwd",
        "group_by=profile_id",
        "group_by=cdn,",
        "cdn=%00",
        "title_id=" + "x" * 101,
        "&".join(f"cdn={number}" for number in range(21)),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(query_api: QueryApi, asked: str) -> None:
    reply = await query_api.get(f"/v1/quality?{asked}", who=ANALYST)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "invalid-request")


async def test_an_answer_of_too_many_rows_is_refused(views: CatalogViews, query_api: QueryApi, film: str) -> None:
    await views.apply([each for n in range(61) for each in gone(film, EVENING + n * MINUTE)], PLAYBACK.name)
    asked = "from=2026-07-01T19:00:00Z&to=2026-07-01T21:00:00Z&interval=minute"
    reply = await query_api.get(f"/v1/quality?title_id={film}&{asked}", who=ANALYST)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "too-many-groups")
    assert "60 rows" in reply.json()["detail"]


async def test_quality_is_for_who_may_see_what_everybody_watches(query_api: QueryApi) -> None:
    viewer = Principal(subject="anna", account_id="household-1", profile_id="anna")
    reply = await query_api.get("/v1/quality", who=viewer)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (403, "scope-missing")


async def test_what_several_workers_count_at_once_adds_up(views: CatalogViews, query_api: QueryApi, film: str) -> None:
    workers = [replace(views, number=views.number + n, applied={}) for n in range(1, 7)]
    for _ in range(2):  # into rows that are not there yet, then into those that are
        await asyncio.gather(*(worker.apply(sitting(film, EVENING), PLAYBACK.name) for worker in workers))
    [item] = await ask(query_api, film)
    assert (item["plays"], item["playing_ms"], item["stall_count"]) == (12, 240_000, 12)


async def test_rows_that_nothing_is_left_of_are_deleted(views: CatalogViews, film: str) -> None:
    before, *after = sitting(film, EVENING, cdn="a")
    for event in (before, *after):  # the session goes from no CDN over to the one that it names
        await views.apply([event], PLAYBACK.name)
    for table in ("quality_by_minute", "quality_by_hour", "quality_counts_by_minute", "quality_counts_by_hour"):
        rows = await views.pool.fetch(f"select cdn from {table} where title_id = $1", film)
        assert [row["cdn"] for row in rows] == ["a"], table
