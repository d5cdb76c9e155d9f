"""What a refused catalog query gets, with all stores down."""

import httpx
import pytest

from tests.query_api.test_refusals import refused

BAD = [
    "titles?kind=season",
    "titles?sort=popularity",
    "titles?territory=kr",
    "titles?territory=KOR",
    "titles?licence=free",
    "titles?at=2026-01-01T00:00:00",  # no offset
    "titles?at=soon",
    "titles?maximum_age=-1",
    "titles?genre=",
    "titles?genre=a%00b",
    "titles?person=" + "x" * 129,
    "titles?released_after=0",
    "available-now",
    "available-now?territory=Korea",
    "coming-soon",
    "coming-soon?territory=KR&days=0",
    "coming-soon?territory=KR&days=367",
    "search",
    "search?q=",
    "search?q=" + "x" * 101,
    "search?q=x&limit=101",
    "search?q=x&territory=korea",
]
GOOD = [
    "titles?kind=live_channel&genre=drama&territory=KR&licence=svod&maximum_age=12&person=p-1&provider=one",
    "titles?at=2026-01-01T00:00:00%2B09:00&released_after=1990&released_before=1999&sort=name",
    "available-now?territory=KR",
    "coming-soon?territory=KR&days=7&kind=movie&licence=tvod",
    "search?q=x",
    "series/made-up",
]


@pytest.mark.parametrize("query", BAD)
async def test_a_query_that_cannot_be_answered_is_refused(operator: httpx.AsyncClient, query: str) -> None:
    refused(await operator.get(f"/v1/catalog/{query}"), 422, "invalid-request")


@pytest.mark.parametrize("query", GOOD)
async def test_a_query_that_can_be_answered_reaches_its_store(operator: httpx.AsyncClient, query: str) -> None:
    assert refused(await operator.get(f"/v1/catalog/{query}"), 503, "store-unavailable")["store"] == "postgres"


@pytest.mark.parametrize("query", GOOD)
async def test_a_query_waits_for_its_position(operator: httpx.AsyncClient, query: str) -> None:
    headers = {"Playhead-Position": "catalog.events:0"}
    refused(await operator.get(f"/v1/catalog/{query}", headers=headers), 400, "position-invalid")


@pytest.mark.parametrize("query", ["titles?", "available-now?territory=KR", "coming-soon?territory=KR"])
async def test_a_cursor_that_was_never_handed_out_is_refused(operator: httpx.AsyncClient, query: str) -> None:
    refused(await operator.get(f"/v1/catalog/{query}&cursor=made-up"), 400, "cursor-invalid")


@pytest.mark.parametrize("query", GOOD)
async def test_a_query_without_a_token_is_challenged(stranger: httpx.AsyncClient, query: str) -> None:
    refused(await stranger.get(f"/v1/catalog/{query}"), 401, "unauthenticated")
