"""Tables on real stores: the same rows in every format, and long ones sent whole, page by page."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO

import pytest

from infra.access.permissions import Principal, Scope
from infra.ids import new_id
from query_api import dead_letters
from query_api.catalog import titles
from query_api.playback import session_timeline, watch_history
from query_api.tables.columns import value_at
from query_api.tables.table import Table
from query_api.tables.writing import cell_of
from tests.integration.query_api_stores import (
    NOW,
    OPERATOR,
    QueryApi,
    Stores,
    running_query_api,
    viewer,
)

pytestmark = pytest.mark.integration

PAGE_ROWS, MOST_ROWS = 4, 18
ALL = Principal(subject="exporter", scopes=frozenset({*OPERATOR.scopes, Scope.CATALOG_READ, Scope.PLAYBACK_READ}))


@pytest.fixture(scope="module")
async def query_api(stores: Stores) -> AsyncIterator[QueryApi]:
    small = stores.settings.model_copy(update={"export_page_rows": PAGE_ROWS, "export_max_rows": MOST_ROWS})
    async with running_query_api(small) as api:
        await api.until_missing()
        yield api


@pytest.fixture
async def session_id(stores: Stores) -> str:
    """A session with a history, a timeline, a title and a dead letter of the same name."""
    session_id = new_id()
    await stores.watched(session_id, NOW, session_id, title_name="=1+1")
    await stores.title(session_id, name='A "Film", 봄')
    await stores.session(session_id, session_id)
    for seq in range(3):
        await stores.event(session_id, session_id, seq, "playback.PlaybackProgressed.v1")
    await stores.dead_letter(session_id)
    return session_id


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("/v1/profiles/{id}/watch-history", watch_history.TABLE),
        ("/v1/playback/sessions/{id}/timeline", session_timeline.TABLE),
        ("/v1/catalog/titles", titles.TABLE),
        ("/v1/dead-letters", dead_letters.TABLE),
    ],
)
async def test_a_table_is_the_same_in_every_format(
    query_api: QueryApi, session_id: str, path: str, table: Table
) -> None:
    path = f"{path.format(id=session_id)}?limit=3"
    rows = (await query_api.get(path, who=ALL)).json()["items"]
    lines = await query_api.get(f"{path}&format=jsonl", who=ALL)
    comma_separated = await query_api.get(path, who=ALL, more={"Accept": "text/csv"})
    assert rows and [json.loads(line) for line in lines.text.splitlines()] == rows
    header, *cells = csv.reader(StringIO(comma_separated.text, newline=""), strict=True)
    assert header == [".".join(column) for column in table.columns]
    assert cells == [[cell_of(value_at(row, column)) for column in table.columns] for row in rows]


async def test_a_long_history_is_sent_page_by_page_until_there_is_too_much(stores: Stores, query_api: QueryApi) -> None:
    profile_id = new_id()
    for number in range(MOST_ROWS + PAGE_ROWS + 1):
        await stores.watched(profile_id, NOW - timedelta(seconds=number), f"s-{number:02}")
    path = f"/v1/profiles/{profile_id}/watch-history?format=jsonl&fields=session_id"
    *lines, last = map(json.loads, (await query_api.get(path, who=viewer(profile_id))).text.splitlines())
    assert last["problem"]["type"].endswith("/export-cut")
    rest = await query_api.get(f"{path}&cursor={last['problem']['next_cursor']}", who=viewer(profile_id))
    lines += map(json.loads, rest.text.splitlines())
    assert lines == [{"session_id": f"s-{number:02}"} for number in range(MOST_ROWS + PAGE_ROWS + 1)]


async def test_a_table_of_somebody_else_is_refused_in_every_format(query_api: QueryApi, session_id: str) -> None:
    path = f"/v1/profiles/{session_id}/watch-history"
    for format_ in ("json", "csv", "jsonl"):
        reply = await query_api.get(f"{path}?format={format_}", who=viewer("somebody-else"))
        assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
