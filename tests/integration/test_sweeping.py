"""Rows of times that are not kept are removed from a real Postgres, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from events import playback as p
from events.envelope import Envelope, Event
from events.topics import PLAYBACK
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from infra.postgres import Role, connect
from projections.app import postgres_views
from projections.playback.quality import QualityByTime
from projections.sweeping import Sweeper, removing
from projections.versions.tables import create_like
from projections.versions.verify import digest_of, kept_of
from projections.views import AggregateView
from tests.builders import movie, playback_started, reported, session
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.query_api_stores import KEPT_DAYS, running_query_api, settings_of
from tests.servers import Servers

pytestmark = pytest.mark.integration

GONE = datetime(1971, 1, 1, 20, 0, tzinfo=UTC)
KEPT = datetime(2026, 1, 1, 20, 0, tzinfo=UTC)
"""The settings keep fifty years: so old is nothing that other tests have."""
MINUTES = "quality_by_minute"


@pytest.fixture(scope="module")
async def views(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogViews]:
    settings = settings_of(servers, Path(tmp_path_factory.mktemp("sweeping")))
    async with catalog_views(settings.model_copy(update={"sweep_batch_rows": 3, "sweep_pause_s": 0.0})) as views:
        yield views


def sweeper(views: CatalogViews) -> Sweeper:
    return Sweeper(postgres_views(views.settings), views.settings)


def swept(view: str) -> float:
    """What a worker's metrics say."""
    return REGISTRY.get_sample_value("playhead_projection_rows_swept_total", {"view": view}) or 0.0


def watched(title_id: str, at: datetime) -> list[Envelope[Event]]:
    of = session(new_id(), title=movie(title_id), started_at=at)
    told = [reported(p.Started, 0, of=of, startup_ms=500), reported(p.Failed, 1, of=of, code="E1")]
    return [playback_started(of), *told]


async def play(views: CatalogViews, title_id: str, *starts: datetime) -> None:
    await views.apply([event for at in starts for event in watched(title_id, at)], PLAYBACK.name)


async def times(views: CatalogViews, title_id: str, table: str = MINUTES, column: str = "begins_at") -> list[datetime]:
    rows = await views.pool.fetch(f"select {column} from {table} where title_id = $1 order by 1", title_id)
    return [row[0] for row in rows]


async def test_what_is_not_kept_goes_in_steps_and_the_rest_stays(views: CatalogViews) -> None:
    title_id = new_id()
    await play(views, title_id, *(GONE + timedelta(minutes=minutes) for minutes in range(10)), KEPT)
    before = {view.name: swept(view.name) for view in postgres_views(views.settings)}
    removed = await sweeper(views).sweep_once()
    assert {name: swept(name) - before[name] for name in removed} == removed
    assert removed[MINUTES] >= 10  # in four steps of three
    assert {name for name, count in removed.items() if count} >= {"quality_counts_by_minute", "title_audience_by_hour"}
    assert await times(views, title_id) == [KEPT]
    assert await times(views, title_id, "title_audience_by_hour", "hour") == [KEPT]
    assert await times(views, title_id, "title_starts_by_day", "day") != [KEPT.replace(hour=0)]  # days stay
    assert set((await sweeper(views).sweep_once()).values()) == {0}


async def test_workers_that_sweep_at_once_do_no_harm(views: CatalogViews) -> None:
    title_id = new_id()
    await play(views, title_id, *(GONE + timedelta(minutes=minutes) for minutes in range(20)), KEPT)
    removed = await asyncio.gather(*(sweeper(views).sweep_once() for _ in range(3)))
    await sweeper(views).sweep_once()  # what each of them passed over, since another had it
    assert await times(views, title_id) == [KEPT]
    assert sum(each[MINUTES] for each in removed) <= 20


async def test_a_row_that_somebody_writes_to_is_left_for_the_next_round(views: CatalogViews) -> None:
    title_id = new_id()
    await play(views, title_id, GONE)
    async with views.pool.acquire() as writing, writing.transaction():
        await writing.execute(f"update {MINUTES} set plays = plays + 1 where title_id = $1", title_id)
        await sweeper(views).sweep_once()
    assert await times(views, title_id) == [GONE]
    await sweeper(views).sweep_once()
    assert await times(views, title_id) == []


async def test_what_comes_of_a_time_that_is_gone_is_not_shown_and_goes_too(views: CatalogViews) -> None:
    title_id = new_id()
    *before, late = watched(title_id, GONE)
    await views.apply(before, PLAYBACK.name)
    await sweeper(views).sweep_once()
    await views.apply([late], PLAYBACK.name)
    async with running_query_api(views.settings) as api:
        analyst = Principal(subject="analyst-1", roles=("analyst",))
        asked = f"title_id={title_id}&from=1971-01-01T20:00:00Z&to=1971-01-01T21:00:00Z"
        for interval, kept in (("minute", "minutes"), ("hour", "hours")):
            reply = await api.get(f"/v1/quality?interval={interval}&{asked}", analyst)
            assert reply.status_code == 422
            assert f"{kept} are kept for {KEPT_DAYS} days" in reply.text
    await sweeper(views).sweep_once()
    assert await times(views, title_id) == []


async def test_a_rebuilt_version_is_compared_as_far_as_rows_are_kept(views: CatalogViews) -> None:
    [view] = [view for view in postgres_views(views.settings) if view.name == MINUTES]
    title_id = new_id()
    await play(views, title_id, GONE, KEPT)
    reading = await connect(views.settings)
    try:
        await create_like(reading, MINUTES, "quality_by_minute__rebuilt")
        await reading.execute(f"insert into quality_by_minute__rebuilt select * from {MINUTES}")
        await sweeper(views).sweep_once()
        await reading.execute(f"set role {Role.PROJECTIONS}")
        tables = (MINUTES, "quality_by_minute__rebuilt")
        whole = [await digest_of(reading, table, "key, plays") for table in tables]
        kept = [await digest_of(reading, kept_of(view, table, utc_now()), "key, plays") for table in tables]
        assert whole[0] != whole[1]
        assert kept[0] == kept[1]
        assert kept[0][0] >= 1
    finally:
        await reading.execute("reset role; drop table if exists quality_by_minute__rebuilt")
        await reading.close()


async def test_each_step_finds_its_rows_by_an_index(views: CatalogViews) -> None:
    passing = [v for v in postgres_views(views.settings) if isinstance(v, AggregateView) and v.kept_for is not None]
    assert QualityByTime in {type(view) for view in passing}
    for view in passing:
        async with views.pool.acquire() as connection, connection.transaction():
            await connection.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
            plan = await connection.fetch(f"explain {removing(view)}", GONE, 3)
        assert any(f"Index Cond: ({view.passing} <" in row[0] for row in plan), view.name
