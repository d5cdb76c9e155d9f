"""One dead store stops only its own views, and they come back with it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.query_api_stores import (
    OPERATOR,
    QueryApi,
    migrated_stores,
    running_query_api,
    settings_of,
    viewer,
)
from tests.servers import Servers

pytestmark = pytest.mark.integration

VIEW_OF = {
    "redis": "/v1/profiles/viewer-1/continue-watching",
    "cassandra": "/v1/profiles/viewer-1/watch-history",
    "postgres": "/v1/catalog/titles",
}


@pytest.fixture(scope="module")
async def query_api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[QueryApi]:
    state_dir = tmp_path_factory.mktemp("query-api-outages")
    async with migrated_stores(servers, state_dir):
        pass
    async with running_query_api(settings_of(servers, state_dir)) as api:
        await api.until_missing()
        yield api


@pytest.mark.parametrize("down", VIEW_OF)
async def test_a_store_that_stops_takes_only_its_own_views_along(
    servers: Servers, query_api: QueryApi, down: str
) -> None:
    await asyncio.to_thread(servers.stop, down)
    try:
        await query_api.until_missing(down)
        for store, path in VIEW_OF.items():
            response = await query_api.get(path, who=OPERATOR)
            assert response.status_code == (503 if store == down else 200), (store, response.text)
            if store == down:
                assert response.json()["type"].endswith("/store-unavailable")
                assert response.json()["store"] == down
                assert "retry-after" in response.headers
        of_viewer = await query_api.get(VIEW_OF["redis"], who=viewer("viewer-1"))  # filtered by what is known
        assert of_viewer.status_code == (503 if down == "redis" else 200), of_viewer.text
    finally:
        await asyncio.to_thread(servers.start, down)
    await query_api.until_missing()
    assert (await query_api.get(VIEW_OF[down], who=OPERATOR)).status_code == 200


async def test_it_starts_without_a_store_and_connects_when_that_comes(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_of(servers, tmp_path_factory.mktemp("query-api-late"))
    await asyncio.to_thread(servers.stop, "postgres")
    try:
        async with running_query_api(settings) as api:
            await api.until_missing("postgres")
            await asyncio.to_thread(servers.start, "postgres")
            await api.until_missing()
            assert (await api.get(VIEW_OF["postgres"], who=OPERATOR)).status_code == 200
    finally:
        await asyncio.to_thread(servers.start, "postgres")
