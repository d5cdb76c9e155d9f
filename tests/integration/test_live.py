"""Live dashboards on real stores: two query APIs on sockets, as two processes behind a balancer would be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import uvicorn

from infra.access.permissions import Principal, Scope
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.http.server import config_of
from infra.ids import new_id
from infra.redis import connect
from infra.settings import Settings
from query_api.app import create_app
from query_api.live import ids
from query_api.live.readings import Topic
from tests.integration.query_api_stores import Stores, settings_of
from tests.integration.rates import unlimited
from tests.query_api.live.listening import Listener, Received, listening
from tests.servers import Servers

pytestmark = pytest.mark.integration

OPERATOR = Principal(subject="live-operator", roles=("operator",))
INTERVAL_S = 0.25
PATIENCE_S = 60.0


@dataclass
class Served:
    """A query API on a port."""

    client: httpx.AsyncClient
    tokens: Tokens

    def by(self, who: Principal) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens.mint_access(who)}"}


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    server = uvicorn.Server(config_of(create_app(unlimited(settings)), settings, port=0))
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await eventually(lambda: _is_ready(client))
            yield Served(client, Tokens(settings))
    finally:
        server.should_exit = True
        await task


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_so():
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def settings(servers: Servers, stores: Stores) -> Settings:
    changes = {"live_interval_s": INTERVAL_S, "live_check_s": 0.1, "revocations_poll_s": 0.1, "progress_kept_s": 0.0}
    return settings_of(servers, stores.settings.state_dir).model_copy(update=changes)


@pytest.fixture(scope="module")
async def one(settings: Settings) -> AsyncIterator[Served]:
    async with served(settings) as api:
        yield api


async def watch(stores: Stores, title_id: str, viewers: int) -> None:
    now = utc_now() + timedelta(minutes=5)  # as of players that are heard of until the test is over
    for number in range(viewers):
        await stores.session(f"{title_id}-{number}", f"{title_id}-{number}", title_id=title_id, last_recorded_at=now)


async def until_watched(stream: Listener, viewers: int) -> Received:
    """The first sample in which so many watch the title that the stream is about."""
    async with asyncio.timeout(PATIENCE_S):
        while (got := await stream.until("viewers")).data["titles"][0]["viewers"] != viewers:
            pass
    return got


def at_ms(received: Received) -> int:
    return ids.read(received.id)[Topic.VIEWERS]


async def test_every_topic_is_sampled(one: Served, stores: Stores) -> None:
    film = f"film-{new_id()}"
    await watch(stores, film, 3)
    async with listening(one.client, f"/v1/live?title_id={film}", headers=one.by(OPERATOR)) as stream:
        await until_watched(stream, 3)
        quality, lag = await stream.until("quality"), await stream.until("lag")
    assert quality.data["plays"] >= quality.data["starts"] >= 0
    assert {each["projection"] for each in lag.data["projections"]} == {"postgres", "cassandra", "redis"}


async def test_who_reconnects_to_another_process_goes_on_where_it_was(
    one: Served, settings: Settings, stores: Stores
) -> None:
    film = f"film-{new_id()}"
    path = f"/v1/live?topics=viewers&title_id={film}"
    async with served(settings) as two, listening(two.client, path, headers=two.by(OPERATOR)) as kept_open:
        async with listening(one.client, path, headers=one.by(OPERATOR)) as stream:
            await kept_open.until("viewers")  # the other one samples too
            await stream.until("viewers")
            last = await stream.until("viewers")
        await watch(stores, film, 2)
        seen = await until_watched(kept_open, 2)
        async with listening(two.client, path, after=last.id, headers=two.by(OPERATOR)) as again:
            got = [await again.next()]
            while at_ms(got[-1]) < at_ms(seen):
                got.append(await again.next())
    assert {each.event for each in got} <= {"viewers", "unavailable"}, "no reset"
    step_ms = round(INTERVAL_S * 1000)
    assert [at_ms(each) for each in got] == list(range(at_ms(last) + step_ms, at_ms(got[-1]) + 1, step_ms))
    assert got[-1].data["titles"][0]["viewers"] == 2


async def test_a_sign_in_that_is_ended_ends_its_stream(one: Served, settings: Settings) -> None:
    sign_in_id = f"live-{new_id()}"
    analyst = Principal(subject="live-analyst", sign_in_id=sign_in_id, scopes=frozenset({Scope.PLAYBACK_READ}))
    async with listening(one.client, "/v1/live", headers=one.by(analyst)) as stream:
        await stream.until("viewers")
        await _revoke(settings, sign_in_id)
        ending = (await stream.rest())[-1]
    assert (ending.event, ending.data) == ("end", {"reason": "unauthenticated"})
    again = await one.client.get("/v1/live", headers=one.by(analyst))
    assert again.status_code == 401


async def _revoke(settings: Settings, sign_in_id: str) -> None:
    """As the projection does: row and checkpoint."""
    redis = connect(settings)
    until_ms = round((utc_now() + timedelta(minutes=10)).timestamp() * 1000)
    await redis.hset("identity_revoked:{all}", f"sign_in:{sign_in_id}", f"1:{until_ms}:{{}}")
    await redis.aclose()


@pytest.mark.parametrize(
    ("scopes", "topics", "events"),
    [
        ({Scope.PLAYBACK_READ}, "", {"viewers", "quality"}),
        ({Scope.OPERATIONS_READ}, "", {"lag"}),
        ({Scope.PLAYBACK_READ}, "?topics=lag", None),
        ({Scope.OPERATIONS_READ}, "?topics=lag,viewers", None),
    ],
)
async def test_each_is_shown_what_they_may_see(
    one: Served, scopes: set[Scope], topics: str, events: set[str] | None
) -> None:
    headers = one.by(Principal(subject="live-some", scopes=frozenset(scopes)))
    if events is None:
        refused = await one.client.get(f"/v1/live{topics}", headers=headers)
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "scope-missing")
        return
    async with listening(one.client, f"/v1/live{topics}", headers=headers) as stream:
        got = [await stream.next() for _ in range(6)]
    assert {each.data["topic"] if each.event == "unavailable" else each.event for each in got} == events


async def test_a_stream_is_neither_compressed_nor_tagged(one: Served) -> None:
    headers = {**one.by(OPERATOR), "Accept-Encoding": "gzip, br, zstd"}
    async with listening(one.client, "/v1/live", headers=headers) as stream:
        assert not {"content-encoding", "etag", "content-length"} & set(stream.response.headers)
        assert (await stream.next()).id is not None


async def test_a_store_that_stops_is_told_and_what_the_others_say_goes_on(servers: Servers, one: Served) -> None:
    async with listening(one.client, "/v1/live", headers=one.by(OPERATOR)) as stream:
        await stream.until("viewers")
        await asyncio.to_thread(servers.stop, "postgres")
        try:
            told = await stream.until("unavailable")
            assert told.data["store"] in ("postgres", None)
            lag = await stream.until("lag")
            assert {each["projection"] for each in lag.data["projections"]} == {"postgres", "cassandra", "redis"}
        finally:
            await asyncio.to_thread(servers.start, "postgres")
        assert (await stream.until("viewers")).data["viewers"] >= 0
