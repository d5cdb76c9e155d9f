"""Replies that are kept while the views stand: over a real Postgres, filled by the projection's own engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.topics import CATALOG, OPERATIONS, PLAYBACK
from infra.access.permissions import Principal
from infra.ids import new_id
from query_api.app import create_app
from query_api.caching.keys import kept_routes
from query_api.caching.places import RETRIES, Place, Places
from query_api.caching.reply_cache import REQUESTS
from query_api.drivers import postgres_driver
from query_api.stores import Store
from tests.builders import movie_published, playback_started, session, title_revised, title_withdrawn
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.query_api_stores import QueryApi, running_query_api, settings_of, viewer
from tests.servers import Servers

pytestmark = pytest.mark.integration

ANYONE = viewer("viewer-1")
EDITOR = Principal(subject="editor", roles=("editor",))
ANALYST = Principal(subject="analyst", roles=("analyst",))
TITLE = "/v1/catalog/titles/{title_id}"
QUERIES = {"/v1/catalog/search": "?q=heat", "/v1/catalog/available-now": "?territory=KR"}


@pytest.fixture(scope="module")
async def views(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogViews]:
    settings = settings_of(servers, Path(tmp_path_factory.mktemp("reply-cache")))
    names = ("position_age_s", "playback_age_s", "turns_interval_s")
    bounds = {f"reply_cache_{name}": 0.0 for name in names}
    async with catalog_views(settings.model_copy(update=bounds)) as views:
        yield views


@pytest.fixture(scope="module")
async def query_api(views: CatalogViews) -> AsyncIterator[QueryApi]:
    async with running_query_api(views.settings, keeps_replies=True) as api:
        await api.until_there("postgres")
        yield api


def counted(path: str, outcome: str) -> float:
    return float(REQUESTS.labels(path, outcome)._value.get())


async def year_of(query_api: QueryApi, path: str, who: Principal = ANYONE) -> int | None:
    """The year that a title's page shows; None: it is not shown."""
    reply = await query_api.get(path, who)
    return reply.json()["release_year"] if reply.status_code == 200 else None


async def test_a_title_is_shown_as_it_is_after_every_change(views: CatalogViews, query_api: QueryApi) -> None:
    film = movie_published(new_id())
    title_id = film.data.title_id  # type: ignore[attr-defined]
    path, before = f"/v1/catalog/titles/{title_id}", counted(TITLE, "hit")
    await views.apply([film])
    shown = [await year_of(query_api, path) for _ in range(3)]
    assert counted(TITLE, "hit") - before == 2
    revised = title_revised(film, release_year=1927)
    await views.apply([revised])
    assert [await year_of(query_api, path) for _ in range(2)] == [1927, 1927] != shown[:2]
    await views.apply([title_withdrawn(film)])
    assert await year_of(query_api, path) is None
    assert await year_of(query_api, path, EDITOR) == 1927
    assert await year_of(query_api, path) is None


async def test_what_is_played_leaves_the_pages_of_the_catalog_where_they_are(
    views: CatalogViews, query_api: QueryApi
) -> None:
    film = movie_published(new_id())
    path = f"/v1/catalog/titles/{film.data.title_id}"  # type: ignore[attr-defined]
    await views.apply([film])
    await query_api.get(path, ANYONE)
    before = counted(TITLE, "hit")
    await views.apply([playback_started(session(new_id()))], PLAYBACK.name)
    await query_api.get(path, ANYONE)
    assert counted(TITLE, "hit") - before == 1


async def test_every_declared_reply_is_kept_and_told_to_be_unchanged(views: CatalogViews, query_api: QueryApi) -> None:
    film = movie_published(new_id())
    title_id = film.data.title_id  # type: ignore[attr-defined]
    await views.apply([film])
    for route in kept_routes(create_app(views.settings)):
        path = route.path.format(title_id=title_id) + QUERIES.get(route.path, "?to=2026-01-01T00:00:00Z")
        who = ANYONE if ANYONE.scopes & route.needs.scopes else ANALYST
        before = counted(route.path, "hit")
        first, again = [await query_api.get(path, who) for _ in range(2)]
        assert (first.status_code, counted(route.path, "hit") - before) == (200, 1), path
        assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
        known = await query_api.get(path, who, {"If-None-Match": first.headers["etag"]})
        assert known.status_code == 304


@pytest.fixture
async def places(views: CatalogViews) -> AsyncIterator[Places]:
    store = Store(postgres_driver(views.settings), views.settings)
    store._client = await postgres_driver(views.settings).connect()
    yield Places(store, views.settings)
    await store.close()


async def test_a_place_changes_with_what_is_applied_swapped_or_handed_over(views: CatalogViews, places: Places) -> None:
    await views.apply([movie_published(new_id())])
    topic, seen = CATALOG.name, list[Place]()
    swapped = "update projection_checkpoint set swaps = swaps + 1 where projection = 'postgres' and topic = $1"
    moved = "update projection_checkpoint set next_offset = next_offset + 1 where projection = $1 and topic = $2"
    copied = """
        insert into projection_checkpoint (projection, topic, partition, next_offset, position)
        select $1, topic, partition, next_offset, position from projection_checkpoint
        where projection = 'postgres' and topic = $2 limit 1
    """
    live = """
        insert into view_versions (view, version, state, table_name, folds, keeper)
        values ($1, 7, 'live', $1, '{}', 'rebuild')
    """
    view = f"made_up_{new_id()[-8:]}"
    building, changes = f"postgres/{view}@7", list[tuple[str, tuple[str, ...], bool]]()
    changes += [("select 1", (), False), (swapped, (topic,), True), (copied, (building, topic), False)]
    changes += [(moved, (building, topic), False), (live, (view,), True), (moved, (building, topic), True)]
    seen.append(await places.now((topic,)))
    try:
        for statement, values, changed in changes:
            await views.pool.execute(statement, *values)
            seen.append(await places.now((topic,)))
            assert (seen[-1] != seen[-2]) is changed, statement
    finally:
        await views.pool.execute("delete from view_versions where view = $1", view)
        await views.pool.execute("delete from projection_checkpoint where projection = $1", building)
    assert OPERATIONS.name == RETRIES
