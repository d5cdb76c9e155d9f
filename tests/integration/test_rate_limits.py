"""Rate limits that processes share through a real Redis, and that go on when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

import commands.app
import query_api.app
from infra import redis as redis_client
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.clock import epoch_s, utc_now
from infra.http.rate_limits import Limiter, Quota
from infra.http.rate_sharing import RateSharing, shared
from infra.ids import new_id
from infra.settings import Settings
from tests import builders
from tests.integration.links import Link

pytestmark = pytest.mark.integration

SECRET = b"the installation's"
INTERVAL_S = 0.05


def limiter(max_keys: int = 1_000) -> Limiter:
    return Limiter(epoch_s, max_keys=max_keys)


def unshared() -> float:
    return REGISTRY.get_sample_value("playhead_rate_limits_unshared_total") or 0.0


@asynccontextmanager
async def processes(settings: Settings, count: int) -> AsyncIterator[list[Limiter]]:
    """As many processes' limiters, over one Redis."""
    made = [limiter() for _ in range(count)]
    async with AsyncExitStack() as stack:
        for each in made:
            await stack.enter_async_context(shared(each, settings, lambda: SECRET))
        yield made


async def test_two_processes_admit_the_limit_together_but_for_what_comes_between_two_rounds(live: Settings) -> None:
    settings = live.model_copy(update={"rate_share_interval_s": INTERVAL_S})
    key, rate = (Quota("pair", 200, 3600), new_id()), 500
    admitted = 0
    async with processes(settings, 2) as pair:
        for _ in range(100):  # a second and more, each at half the rate
            for each in pair:
                admitted += sum(each.take(key).admitted for _ in range(rate // 2 // 50))
            await asyncio.sleep(0.02)
    error = rate * 4 * INTERVAL_S  # what arrives in a round, and in the time that the round takes on a busy machine
    assert 200 <= admitted <= 200 + error


async def test_a_process_that_comes_later_learns_what_was_admitted(live: Settings) -> None:
    settings = live.model_copy(update={"rate_share_interval_s": INTERVAL_S})
    key = (Quota("late", 50, 3600), new_id())
    async with processes(settings, 2) as (first, second):
        assert sum(first.take(key).admitted for _ in range(80)) == 50
        await asyncio.sleep(4 * INTERVAL_S)
        assert second.take(key).admitted, "it has not heard of them yet"
        await asyncio.sleep(4 * INTERVAL_S)
        assert not second.take(key).admitted


async def test_nobody_is_named_in_redis_and_what_is_kept_there_goes_away(live: Settings) -> None:
    name, limits = new_id(), limiter()
    client = redis_client.connect(live)
    limits.take((Quota(name, 5, 60), "198.51.100.7"))
    await RateSharing(limits, client, live, lambda: SECRET).share()
    [key] = [key async for key in client.scan_iter(match=f"rate:{name}:*", count=1_000)]
    assert b"198.51.100.7" not in key
    assert 0 < await client.ttl(key) <= 120
    await client.aclose()


async def test_limits_hold_while_redis_is_away_and_it_is_counted(live: Settings) -> None:
    away = live.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "rate_share_interval_s": INTERVAL_S})
    key, before = (Quota("alone", 10, 3600), new_id()), unshared()
    async with processes(away, 1) as [alone]:
        assert sum(alone.take(key).admitted for _ in range(30)) == 10
        await asyncio.sleep(6 * INTERVAL_S)
        assert sum(alone.take(key).admitted for _ in range(30)) == 0
    assert unshared() > before


async def test_a_redis_that_dies_meanwhile_lifts_no_limit_and_is_used_again_when_it_is_back(live: Settings) -> None:
    key, other = (Quota("dying", 20, 3600), new_id()), limiter()
    link = Link(live)
    await link.up()
    settings = live.model_copy(update={"redis_url": link.url, "rate_share_interval_s": INTERVAL_S})
    async with processes(settings, 1) as [here]:
        assert sum(here.take(key).admitted for _ in range(12)) == 12
        await asyncio.sleep(4 * INTERVAL_S)
        await link.down()
        before = unshared()
        assert sum(here.take(key).admitted for _ in range(30)) == 8
        await asyncio.sleep(6 * INTERVAL_S)
        assert unshared() > before
        assert not here.take(key).admitted
        await link.up()
        other_key = (key[0], new_id())
        assert here.take(other_key).admitted
        await asyncio.sleep(6 * INTERVAL_S)
    client = redis_client.connect(live)
    other.take(other_key)
    await RateSharing(other, client, live, lambda: SECRET).share()
    await client.aclose()
    assert other.take(other_key).left == 17, "one of the process that came back, and two here"
    await link.down()


async def test_what_was_counted_while_redis_was_away_is_not_forgotten_when_it_returns(live: Settings) -> None:
    key, limits = (Quota("back", 10, 3600), new_id()), limiter()
    here = redis_client.connect(live)
    gone = redis_client.connect(live.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert sum(limits.take(key).admitted for _ in range(9)) == 9
    await RateSharing(limits, gone, live, lambda: SECRET).share()
    assert limits.take(key).admitted
    await RateSharing(limits, here, live, lambda: SECRET).share()
    assert not limits.take(key).admitted
    await here.aclose()


async def test_a_session_that_floods_is_limited_alone(live: Settings) -> None:
    settings = live.model_copy(update={"rate_ingest": "5 per 60 s"})
    app = commands.app.create_app(settings)
    sessions = [builders.session(new_id()) for _ in range(2)]
    async with app.router.lifespan_context(app), _client(app) as client:

        async def stop(number: int) -> httpx.Response:
            token = Tokens(settings).mint_playback(builders.grant(sessions[number]), utc_now().replace(year=2099))
            path = f"/v1/playback/sessions/{sessions[number].session_id}/stop"
            return await client.post(path, json={}, headers={"Authorization": f"Bearer {token}"})

        flood = [(await stop(0)).status_code for _ in range(8)]
        assert flood == [422] * 5 + [429] * 3
        other = await stop(1)
        assert other.status_code == 422
        assert other.headers["ratelimit-policy"] == '"ingest";q=5;w=60'
        assert other.headers["ratelimit"].startswith('"ingest";r=4;t=')


async def test_the_short_way_to_continue_watching_counts_each_request_once(live: Settings) -> None:

    settings = live.model_copy(update={"rate_query": "5 per 60 s"})
    app = query_api.app.create_app(settings)
    who = new_id()
    token = Tokens(settings).mint_access(Principal(subject=who, account_id=who, profile_id=who))
    async with app.router.lifespan_context(app), _client(app) as client:
        path, headers = f"/v1/profiles/{who}/continue-watching", {"Authorization": f"Bearer {token}"}
        replies = [await client.get(path, headers=headers) for _ in range(8)]
    assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 3
    assert replies[-1].json()["type"].endswith("/rate-limited")


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://playhead")
