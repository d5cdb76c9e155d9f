"""What a refused request gets: a problem document that names the reason, with all stores down."""

import httpx
import pytest

from infra.cursors import MAX_CHARS
from infra.http.problems import MEDIA_TYPE, TYPE_BASE
from infra.settings import Settings

PROFILE = "/v1/profiles/viewer-1"
STORE_OF = {
    f"{PROFILE}/continue-watching": "redis",
    f"{PROFILE}/watch-history": "cassandra",
    "/v1/playback/sessions/s-1": "postgres",
    "/v1/playback/sessions/s-1/timeline": "cassandra",
    "/v1/playback/sessions/s-1/cmcd-gaps": "cassandra",
    "/v1/catalog/titles": "postgres",
    "/v1/catalog/titles/t-1": "postgres",
    "/v1/catalog/series/made-up/episodes": "postgres",
    "/v1/dead-letters": "postgres",
}
POSITIONED = {path: store for path, store in STORE_OF.items() if path != "/v1/dead-letters"}
PAGED = [path for path in STORE_OF if path.endswith(("watch-history", "timeline", "titles", "episodes", "letters"))]


def refused(response: httpx.Response, status: int, slug: str) -> dict[str, object]:
    """The problem document, once its shape is checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    assert "x-correlation-id" in response.headers
    problem: dict[str, object] = response.json()
    assert problem["type"] == TYPE_BASE + slug
    assert problem["status"] == status
    assert problem["instance"] == response.request.url.path
    assert problem["title"] and problem["detail"]
    return problem


@pytest.mark.parametrize("path", STORE_OF)
async def test_a_request_without_a_token_is_challenged(stranger: httpx.AsyncClient, path: str) -> None:
    response = await stranger.get(path)
    refused(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="playhead"'


@pytest.mark.parametrize("given", ["Bearer", "Bearer ", "Bearer x.y.z", "Basic dTpw", "Bearer é"])
async def test_a_token_that_does_not_hold_is_refused(stranger: httpx.AsyncClient, given: str) -> None:
    response = await stranger.get("/v1/catalog/titles", headers={b"Authorization": given.encode("latin-1")})
    refused(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith('Bearer realm="playhead"')


@pytest.mark.parametrize("view", ["continue-watching", "watch-history"])
async def test_the_profile_of_someone_else_is_refused(viewer: httpx.AsyncClient, view: str) -> None:
    refused(await viewer.get(f"/v1/profiles/viewer-2/{view}"), 403, "not-your-profile")


async def test_dead_letters_are_refused_to_viewers(viewer: httpx.AsyncClient) -> None:
    refused(await viewer.get("/v1/dead-letters"), 403, "scope-missing")


@pytest.mark.parametrize(("path", "store"), STORE_OF.items())
async def test_a_store_that_is_down_is_named(operator: httpx.AsyncClient, path: str, store: str) -> None:
    response = await operator.get(path)
    assert refused(response, 503, "store-unavailable")["store"] == store
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize(("path", "store"), POSITIONED.items())
async def test_a_position_cannot_be_waited_for_in_a_store_that_is_down(
    operator: httpx.AsyncClient, path: str, store: str
) -> None:
    topic = "catalog.events" if "/catalog/" in path else "playback.events"
    response = await operator.get(path, headers={"Playhead-Position": f"{topic}:0:1"})
    assert refused(response, 503, "store-unavailable")["store"] == store


@pytest.mark.parametrize("path", POSITIONED)
@pytest.mark.parametrize("position", ["", "here", "playback.events:1", "playback.events:1:-1", "a:1:1," * 17])
async def test_a_position_that_cannot_be_read_is_refused(operator: httpx.AsyncClient, path: str, position: str) -> None:
    refused(await operator.get(path, headers={"Playhead-Position": position}), 400, "position-invalid")


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize("cursor", ["", "made-up", "AAAA", "%00"])
async def test_a_cursor_that_was_never_handed_out_is_refused(
    operator: httpx.AsyncClient, path: str, cursor: str
) -> None:
    refused(await operator.get(f"{path}?cursor={cursor}"), 400, "cursor-invalid")


@pytest.mark.parametrize("path", [*PAGED, f"{PROFILE}/continue-watching"])
@pytest.mark.parametrize("limit", ["0", "-1", "ten", "101", "99999999999999999999"])
async def test_a_limit_out_of_bounds_is_refused_with_its_name(
    operator: httpx.AsyncClient, path: str, limit: str
) -> None:
    problem = refused(await operator.get(f"{path}?limit={limit}"), 422, "invalid-request")
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert [error["pointer"] for error in errors] == ["/query/limit"]


@pytest.mark.parametrize("bad_id", ["x" * 129, "a%00b", "%1F"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/profiles/{}/continue-watching",
        "/v1/profiles/{}/watch-history",
        "/v1/playback/sessions/{}",
        "/v1/playback/sessions/{}/timeline",
        "/v1/catalog/titles/{}",
        "/v1/catalog/series/{}/episodes",
    ],
)
async def test_an_id_that_cannot_be_one_is_refused(operator: httpx.AsyncClient, path: str, bad_id: str) -> None:
    refused(await operator.get(path.format(bad_id)), 422, "invalid-request")


@pytest.mark.parametrize(
    "query", ["titles?kind=song", "series/made-up/episodes?season_number=-1", "series/x/episodes?season_number=9e9"]
)
async def test_a_filter_that_cannot_match_is_refused(operator: httpx.AsyncClient, query: str) -> None:
    refused(await operator.get(f"/v1/catalog/{query}"), 422, "invalid-request")


async def test_an_overlong_cursor_is_refused(operator: httpx.AsyncClient) -> None:
    refused(await operator.get(f"/v1/catalog/titles?cursor={'A' * (MAX_CHARS + 1)}"), 422, "invalid-request")


async def test_a_path_that_is_not_served_is_refused(viewer: httpx.AsyncClient) -> None:
    refused(await viewer.get("/v1/nothing"), 404, "no-such-route")
    refused(await viewer.post("/v1/catalog/titles"), 405, "method-not-allowed")


async def test_the_process_runs_and_says_which_stores_are_missing(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/health")).status_code == 200
    ready = await stranger.get("/ready")
    assert ready.status_code == 503
    assert set(ready.json()["missing"]) == {"postgres", "cassandra", "redis"}
    assert "playhead_http_requests_total" in (await stranger.get("/metrics")).text


def test_the_retry_after_of_these_tests_is_not_the_default(settings: Settings) -> None:
    assert settings.retry_after_s != Settings().retry_after_s
