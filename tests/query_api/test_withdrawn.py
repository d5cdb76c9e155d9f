"""The withdrawn titles: read when their view has moved, and looked after no more often than is set."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from infra.settings import Settings
from query_api.playback.withdrawn import KEY, WithdrawnTitles
from query_api.redis_reads import RedisReads
from query_api.stores import Driver, Store
from tests.query_api.little_redis import Reply, little_redis

TAKEN = frozenset({"heat"})
CHECKPOINTS = "projection_checkpoint:redis"


class Hashes:
    """What Redis has, and which keys were read of it."""

    def __init__(self) -> None:
        self.places = {b"catalog.events:3": b"7:6", b"playback.events:0": b"100:99"}
        self.rows = {b"heat": b'7:0:{"withdrawn":true}', b"ran": b'7:0:{"withdrawn":false}'}
        self.read: list[str] = []

    async def answer(self, _: str, key: str) -> Reply:
        self.read.append(key)
        return {CHECKPOINTS: self.places, KEY: self.rows}.get(key, {})


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hashes() -> Hashes:
    return Hashes()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def titles(hashes: Hashes, clock: Clock) -> AsyncIterator[WithdrawnTitles]:
    async with little_redis(hashes.answer) as (client, _):

        async def connect() -> RedisReads:
            return RedisReads(client, max_reads=10, timeout_s=5.0)

        async def nothing(_: object) -> None: ...

        store = Store(Driver("redis", connect, nothing, nothing, (OSError,)), Settings())
        store.open()
        while await store.missing():
            await asyncio.sleep(0)
        yield WithdrawnTitles(store, Settings(withdrawn_titles_checked_s=1.0), clock=clock)


async def test_they_are_read_when_the_view_has_moved_and_not_by_the_clock(
    titles: WithdrawnTitles, hashes: Hashes, clock: Clock
) -> None:
    assert titles.known() is None
    assert await titles.now() == titles.known() == TAKEN
    hashes.rows[b"ran"] = b'8:0:{"withdrawn":true}'
    hashes.places[b"playback.events:0"] = b"200:199"
    for clock.now_s in (1.0, 60.0):
        assert titles.known() is None
        assert await titles.now() == TAKEN
    assert hashes.read.count(KEY) == 1
    hashes.places[b"catalog.events:3"] = b"8:7"
    assert titles.known() == TAKEN
    clock.now_s = 61.0
    assert await titles.now() == {"heat", "ran"}


async def test_a_redis_that_came_back_empty_has_none(titles: WithdrawnTitles, hashes: Hashes, clock: Clock) -> None:
    await titles.now()
    hashes.places, hashes.rows = {}, {}
    assert await titles.now() == frozenset()


async def test_who_knows_that_the_view_has_moved_looks_at_once(
    titles: WithdrawnTitles, hashes: Hashes, clock: Clock
) -> None:
    await titles.now()
    hashes.places[b"operations.events:0"], hashes.rows = b"1:0", {}
    assert titles.known() == TAKEN
    titles.forget()
    assert titles.known() is None
    assert await titles.now() == frozenset()
