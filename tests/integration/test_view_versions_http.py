"""GET /v1/views, on a real Postgres."""

from collections.abc import AsyncIterator

import pytest

from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.query_api_stores import OPERATOR, QueryApi, running_query_api

pytestmark = pytest.mark.integration

KNOWN = """
    insert into view_versions (view, version, state, table_name, folds, keeper, records_done, records_total,
                               records_per_s, verified)
    values ($1, $2, $3, 'none', '{"one": 2}', 'rebuild', 250, 1000, 50,
            '{"at": "2026-01-01T20:15:30Z", "equal": false, "accepted": true, "views": {}}')
"""


@pytest.fixture
async def query_api(live: Settings) -> AsyncIterator[QueryApi]:
    async with running_query_api(live) as api:
        await api.until_missing()
        yield api


@pytest.fixture
async def view(postgres: Pool) -> AsyncIterator[str]:
    """A view of which one version is retired, and another is being built."""
    name = f"view_{new_id()}"
    await postgres.execute(KNOWN, name, 2, "retired")
    await postgres.execute(KNOWN, name, 3, "building")
    yield name
    await postgres.execute("delete from view_versions where view = $1", name)


async def test_operators_see_how_far_each_version_is_and_until_when(query_api: QueryApi, view: str) -> None:
    reply = await query_api.get("/v1/views", who=OPERATOR)
    assert reply.status_code == 200
    [version] = [each for each in reply.json()["items"] if each["view"] == view]
    assert (version["version"], version["state"], version["folds"]) == (3, "building", {"one": 2})
    assert version["store"] == "postgres"
    assert (version["records_done"], version["records_total"], version["eta_s"]) == (250, 1000, 15.0)
    assert version["verified"] == {"at": "2026-01-01T20:15:30Z", "equal": False, "accepted": True}
