"""Settings that point at real, migrated servers, and the clients that tests look into them with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.ids import new_id
from infra.migrate import migrate
from infra.postgres import Pool, connect_pool
from infra.settings import Settings
from tests.integration.catalog_views import CatalogViews, catalog_views
from tests.integration.query_api_stores import (
    KEPT_DAYS,
    QueryApi,
    Stores,
    opened_stores,
    running_query_api,
    settings_of,
)
from tests.integration.showing import HOME
from tests.servers import Servers


@pytest.fixture(scope="session")
async def live(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of an installation whose servers run and are migrated; keys and state in a directory of the run. Its
    viewers are at HOME, and its billing is elsewhere: what is about entitlement says that a subscription is required.
    Nobody is short of streams: what is about limits has its own. What tests leave of any year is kept.
    """
    ours: dict[str, object] = {
        "default_territory": HOME,
        "subscription_required": False,
        "streams_without_plan": 50,
        "minutes_kept_days": KEPT_DAYS,
        "hours_kept_days": KEPT_DAYS,
    }
    settings = settings_for(servers, tmp_path_factory.mktemp("state"), **ours)
    await migrate(settings, lambda _: None)
    return settings


def settings_for(servers: Servers, state_dir: Path, **changes: object) -> Settings:
    """Settings for the servers of this run, with changes."""
    at = servers.endpoints
    return Settings(
        state_dir=state_dir,
        kafka_bootstrap=at.kafka_bootstrap,
        postgres_dsn=at.postgres_dsn,
        cassandra_host=at.cassandra_host,
        cassandra_port=at.cassandra_port,
        redis_url=at.redis_url,
        **changes,  # type: ignore[arg-type]  # each is one of the settings
    )


@pytest.fixture(scope="session")
async def postgres(live: Settings) -> AsyncIterator[Pool]:
    """A pool for looking into Postgres."""
    pool = await connect_pool(live)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def query_settings(live: Settings, servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a query API on the servers of this run, which `live` has migrated."""
    return settings_of(servers, tmp_path_factory.mktemp("query-api"))


@pytest.fixture(scope="module")
async def stores(query_settings: Settings) -> AsyncIterator[Stores]:
    """For rows that are put where a projection would write them."""
    async with opened_stores(query_settings) as stores:
        yield stores


@pytest.fixture(scope="module")
async def views(query_settings: Settings) -> AsyncIterator[CatalogViews]:
    """For events that the engine folds into views in Postgres."""
    async with catalog_views(query_settings) as views:
        yield views


@pytest.fixture(scope="module")
async def query_api(query_settings: Settings) -> AsyncIterator[QueryApi]:
    """A query API that reads both."""
    async with running_query_api(query_settings) as api:
        await api.until_missing()
        yield api


@pytest.fixture
def profile_id() -> str:
    """A viewer of whom nobody has seen anything."""
    return new_id()
