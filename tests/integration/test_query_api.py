"""The query API on real stores, with rows as the projections write them."""

import asyncio
from datetime import timedelta

import pytest

from infra.ids import new_id
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
    viewer,
)

pytestmark = pytest.mark.integration

FIRST_UNUSED_PARTITION = 9_000


@pytest.fixture
def partition() -> int:
    """A partition that no topic has, so that no projection moves its checkpoint."""
    return FIRST_UNUSED_PARTITION + int(new_id()[-6:], 16)


def ids(items: list[dict[str, object]], name: str) -> list[object]:
    return [item[name] for item in items]


def flat(pages: list[list[dict[str, object]]]) -> list[dict[str, object]]:
    return [item for page in pages for item in page]


async def test_continue_watching_offers_what_is_unfinished(
    stores: Stores, query_api: QueryApi, profile_id: str
) -> None:
    await stores.continue_watching(profile_id, "older", 1_000)
    await stores.continue_watching(profile_id, "newer", 2_000, series_id="made-up", season_number=1, episode_number=2)
    await stores.continue_watching(profile_id, "done", 3_000, state="completed")
    await stores.continue_watching(profile_id, "next", 1_500, state="next_episode", next_title_id="after-next")
    path = f"/v1/profiles/{profile_id}/continue-watching"
    items = (await query_api.get(path, who=viewer(profile_id))).json()["items"]
    assert ids(items, "title_id") == ["newer", "next", "older"]
    assert (items[0]["progress"], items[0]["series_id"], items[1]["next_title_id"]) == (0.25, "made-up", "after-next")
    assert ids((await query_api.get(f"{path}?limit=1", who=OPERATOR)).json()["items"], "title_id") == ["newer"]


@pytest.mark.parametrize("query", ["", "?limit=1", "?limit=100"])
async def test_the_short_way_answers_what_the_route_answers(
    stores: Stores, query_api: QueryApi, profile_id: str, query: str
) -> None:
    await stores.continue_watching(profile_id, "older", 1_000, name="Ünïcode: {braces}")
    await stores.continue_watching(profile_id, "newer", 2_000, series_id="made-up", season_number=1, episode_number=2)
    path = f"/v1/profiles/{profile_id}/continue-watching{query}"
    short = await query_api.get(path, who=viewer(profile_id))
    route = await query_api.get(path, who=viewer(profile_id), position="identity.events:0:0")  # not its
    assert (short.status_code, short.content) == (route.status_code, route.content)
    assert short.headers["content-type"] == route.headers["content-type"]


async def test_a_profile_that_watched_nothing_has_empty_views(query_api: QueryApi, profile_id: str) -> None:
    for view in ("continue-watching", "watch-history?limit=5"):
        pages = await query_api.get(f"/v1/profiles/{profile_id}/{view}", who=viewer(profile_id))
        assert (pages.status_code, pages.json()["items"]) == (200, [])


async def test_many_profiles_at_once_each_get_their_own(stores: Stores, query_api: QueryApi, profile_id: str) -> None:
    profiles = [f"{profile_id}-{number}" for number in range(200)]
    await asyncio.gather(*(stores.continue_watching(profile, f"of-{profile}", 1) for profile in profiles[:50]))

    async def offered(profile: str) -> list[object]:
        response = await query_api.get(f"/v1/profiles/{profile}/continue-watching", who=viewer(profile))
        return ids(response.json()["items"], "title_id")

    found = await asyncio.gather(*map(offered, profiles))
    assert found == [[f"of-{profile}"] for profile in profiles[:50]] + [[]] * 150


async def test_watch_history_pages_give_each_session_once(stores: Stores, query_api: QueryApi, profile_id: str) -> None:
    starts = [NOW - timedelta(days=days) for days in (0, 0, 0, 1, 3, 40, 41, 41, 200, 201, 380)]
    for number, started_at in enumerate(starts):
        await stores.watched(profile_id, started_at, f"s-{number:02}", completed=True if number == 3 else None)
    path = f"/v1/profiles/{profile_id}/watch-history"
    for limit in (1, 2, 3, 100):
        pages = await query_api.pages(f"{path}?limit={limit}", who=viewer(profile_id))
        assert all(len(page) <= limit for page in pages)
        assert ids(flat(pages), "session_id") == [f"s-{number:02}" for number in range(len(starts))]
        assert [item["completed"] for item in flat(pages)].count(True) == 1


async def test_watch_history_says_where_a_session_left_off(
    stores: Stores, query_api: QueryApi, profile_id: str
) -> None:
    await stores.watched(profile_id, NOW, "s-1")
    await stores.watched(profile_id, NOW - timedelta(hours=1), "s-0", position_ms=None, last_at=None)
    response = await query_api.get(f"/v1/profiles/{profile_id}/watch-history", who=viewer(profile_id))
    newer, older = response.json()["items"]
    assert (newer["progress"], newer["completed"], newer["title_name"]) == (0.25, False, "A Film")
    assert newer["started_at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert (older["position_ms"], older["last_at"]) == (0, older["started_at"])


async def test_a_cursor_of_another_profile_is_refused(stores: Stores, query_api: QueryApi, profile_id: str) -> None:
    for number in range(3):
        await stores.watched(profile_id, NOW, f"s-{number}")
    page = await query_api.get(f"/v1/profiles/{profile_id}/watch-history?limit=1", who=OPERATOR)
    cursor = page.json()["next_cursor"]
    response = await query_api.get(f"/v1/profiles/{new_id()}/watch-history?cursor={cursor}", who=OPERATOR)
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (400, "cursor-invalid")


async def test_a_session_is_shown_to_its_viewer(stores: Stores, query_api: QueryApi, profile_id: str) -> None:
    session_id = new_id()
    await stores.session(session_id, profile_id)
    path = f"/v1/playback/sessions/{session_id}"
    session = (await query_api.get(path, who=viewer(profile_id))).json()
    assert (session["session_id"], session["position_ms"], session["event_count"]) == (session_id, 30_000, 5)
    assert "seen" not in session
    assert (await query_api.get(path, who=OPERATOR)).json() == session


async def test_a_timeline_is_in_the_players_order_and_paged_whole(
    stores: Stores, query_api: QueryApi, profile_id: str
) -> None:
    session_id = new_id()
    types = ["PlaybackStarted", "PlaybackFirstFrameShown", "PlaybackProgressed", "PlaybackPaused", "PlaybackStopped"]
    for seq, event_type in enumerate(types, start=-1):
        await stores.event(session_id, profile_id, seq, event_type)
    await stores.event(session_id, profile_id, 1, "PlaybackFailed")  # the same seq, reported as something else
    for limit in (1, 2, 6):
        pages = await query_api.pages(
            f"/v1/playback/sessions/{session_id}/timeline?limit={limit}", who=viewer(profile_id)
        )
        events = [(item["seq"], item["event_type"]) for item in flat(pages)]
        assert events == [
            (-1, "PlaybackStarted"),
            (0, "PlaybackFirstFrameShown"),
            (1, "PlaybackFailed"),
            (1, "PlaybackProgressed"),
            (2, "PlaybackPaused"),
            (3, "PlaybackStopped"),
        ]
        assert [item["report"] for item in flat(pages)][:2] == [None, {"type": "heartbeat", "seq": 0}]


@pytest.mark.parametrize("view", ["", "/timeline"])
async def test_a_session_of_someone_else_is_refused(stores: Stores, query_api: QueryApi, view: str) -> None:
    session_id = new_id()
    await stores.session(session_id, "viewer-1")
    await stores.event(session_id, "viewer-1", -1, "PlaybackStarted")
    response = await query_api.get(f"/v1/playback/sessions/{session_id}{view}", who=viewer("viewer-2"))
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (403, "session-not-yours")


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/v1/playback/sessions/never-was", "session-unknown"),
        ("/v1/playback/sessions/never-was/timeline", "session-unknown"),
        ("/v1/catalog/titles/never-was", "title-unknown"),
        ("/v1/catalog/series/never-was/episodes", "title-unknown"),
    ],
)
async def test_what_is_not_there_is_said_to_be_unknown(query_api: QueryApi, path: str, slug: str) -> None:
    response = await query_api.get(path, who=viewer("viewer-1"))
    assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (404, slug)


async def test_titles_are_listed_newest_first_each_once(stores: Stores, query_api: QueryApi) -> None:
    mark = new_id()
    for number in range(7):  # two at each moment
        await stores.title(f"{mark}-{number}", published_at=NOW + timedelta(days=3_650, seconds=number // 2))
    await stores.title(f"{mark}-series", kind="series", duration_ms=None, seasons='[{"number": 1, "name": "One"}]')
    for limit in (1, 2, 100):
        pages = await query_api.pages(f"/v1/catalog/titles?kind=movie&limit={limit}", who=viewer("viewer-1"))
        mine = [item for item in flat(pages) if str(item["title_id"]).startswith(mark)]
        assert ids(mine, "title_id") == [f"{mark}-{number}" for number in reversed(range(7))]
        assert {item["kind"] for item in flat(pages)} == {"movie"}
    everything = flat(await query_api.pages("/v1/catalog/titles?limit=100", who=viewer("viewer-1")))
    assert f"{mark}-series" in ids(everything, "title_id")
    assert len(set(ids(everything, "title_id"))) == len(everything)


async def test_a_cursor_is_good_for_the_same_filter_only(stores: Stores, query_api: QueryApi) -> None:
    for number in range(2):
        await stores.title(f"{new_id()}-{number}")
    page = await query_api.get("/v1/catalog/titles?kind=movie&limit=1", who=OPERATOR)
    response = await query_api.get(f"/v1/catalog/titles?cursor={page.json()['next_cursor']}", who=OPERATOR)
    assert response.status_code == 400


async def test_a_title_is_shown_whole(stores: Stores, query_api: QueryApi) -> None:
    title_id = new_id()
    await stores.title(title_id, kind="series", duration_ms=None, seasons='[{"number": 1, "name": "One"}]')
    title = (await query_api.get(f"/v1/catalog/titles/{title_id}", who=viewer("viewer-1"))).json()
    assert title["maturity"] == {"system": "KMRB", "value": "12", "minimum_age": 12}
    assert title["availability"] == [{"territories": ["KR"], "starts_at": None, "ends_at": None}]
    assert (title["seasons"], title["duration_ms"]) == ([{"number": 1, "name": "One"}], None)


async def test_episodes_are_listed_as_they_are_watched(stores: Stores, query_api: QueryApi) -> None:
    series_id = new_id()
    await stores.title(series_id, kind="series", series_id=series_id)
    numbers = [(2, 1), (1, 10), (1, 9), (0, 1), (2, 2)]
    for season, episode in numbers:
        place = {"series_id": series_id, "season_number": season, "episode_number": episode}
        await stores.title(f"{series_id}-{season}-{episode}", kind="episode", **place)
    path = f"/v1/catalog/series/{series_id}/episodes"
    for limit in (1, 2, 100):
        pages = await query_api.pages(f"{path}?limit={limit}", who=viewer("viewer-1"))
        assert [(item["season_number"], item["episode_number"]) for item in flat(pages)] == sorted(numbers)
    of_season_1 = flat(await query_api.pages(f"{path}?season_number=1&limit=1", who=viewer("viewer-1")))
    assert [item["episode_number"] for item in of_season_1] == [9, 10]


async def test_a_series_without_episodes_lists_none(stores: Stores, query_api: QueryApi) -> None:
    series_id = new_id()
    await stores.title(series_id, kind="series", series_id=series_id)
    response = await query_api.get(f"/v1/catalog/series/{series_id}/episodes", who=viewer("viewer-1"))
    assert response.json() == {"items": [], "next_cursor": None}


async def test_dead_letters_are_listed_newest_first_each_once(stores: Stores, query_api: QueryApi) -> None:
    mark = new_id()
    for number in range(5):
        await stores.dead_letter(f"{mark}-{number}", recorded_at=NOW + timedelta(seconds=number // 2))
    for limit in (1, 2, 100):
        letters = flat(await query_api.pages(f"/v1/dead-letters?limit={limit}", who=OPERATOR))
        mine = [letter for letter in letters if str(letter["letter_id"]).startswith(mark)]
        assert ids(mine, "letter_id") == [f"{mark}-{number}" for number in reversed(range(5))]
        assert (mine[0]["body_bytes"], mine[0]["preview"]) == (8, "\ufffdgarbage")


VIEWS = [
    ("/v1/profiles/viewer-1/continue-watching", "redis", "playback.events"),
    ("/v1/profiles/viewer-1/watch-history", "cassandra", "playback.events"),
    ("/v1/catalog/titles", "postgres", "catalog.events"),
]


@pytest.mark.parametrize(("path", "store", "topic"), VIEWS)
async def test_a_query_waits_for_its_position(
    stores: Stores, query_api: QueryApi, partition: int, path: str, store: str, topic: str
) -> None:
    position = f"{topic}:{partition}:17"
    waiting = asyncio.create_task(query_api.get(path, who=viewer("viewer-1"), position=position))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await stores.applied(store, topic, partition, 17)
    assert (await waiting).status_code == 200
    assert (await query_api.get(path, who=viewer("viewer-1"), position=position)).status_code == 200


@pytest.mark.parametrize(("path", "store", "topic"), VIEWS)
async def test_a_view_that_stays_behind_is_said_to_be(
    query_api: QueryApi, partition: int, path: str, store: str, topic: str
) -> None:
    position = f"{topic}:{partition}:0"
    response = await query_api.get(path, who=viewer("viewer-1"), position=position)
    problem = response.json()
    assert (response.status_code, problem["type"].rpartition("/")[2]) == (503, "view-behind")
    assert (problem["store"], problem["behind"]) == (store, [position])
    assert int(response.headers["retry-after"]) > 0


async def test_a_write_is_read_by_who_waits_for_it(
    stores: Stores, query_api: QueryApi, profile_id: str, partition: int
) -> None:
    path = f"/v1/profiles/{profile_id}/continue-watching"
    asked = query_api.get(path, who=viewer(profile_id), position=f"playback.events:{partition}:5")
    waiting = asyncio.create_task(asked)
    await asyncio.sleep(0.1)
    await stores.continue_watching(profile_id, "just-written", 1)
    await stores.applied("redis", "playback.events", partition, 5)
    assert ids((await waiting).json()["items"], "title_id") == ["just-written"]
