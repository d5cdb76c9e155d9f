"""The withdrawn titles: read when their view has moved, and looked after no more often than is set."""

import asyncio
from typing import Any

from infra.settings import Settings
from query_api.playback.withdrawn import KEY, WithdrawnTitles
from query_api.redis_reads import RedisReads
from query_api.stores import Driver, Store

TAKEN = frozenset({"heat"})
CHECKPOINTS = "projection_checkpoint:redis"


class Redis:
    """A Redis of two hashes."""

    def __init__(self) -> None:
        self.places = {b"catalog.events:3": b"7:6", b"playback.events:0": b"100:99"}
        self.rows = {b"heat": b'7:0:{"withdrawn":true}', b"ran": b'7:0:{"withdrawn":false}'}
        self.read: list[str] = []

    async def execute_command(self, _: str, key: str) -> dict[bytes, bytes]:
        self.read.append(key)
        return {CHECKPOINTS: self.places, KEY: self.rows}.get(key, {})

    def pipeline(self, **_: object) -> "Pipeline":
        return Pipeline(self)


class Pipeline:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keys: list[str] = []

    def execute_command(self, _: str, key: str) -> None:
        self._keys.append(key)

    async def execute(self, **_: object) -> list[dict[bytes, bytes]]:
        return [await self._redis.execute_command("HGETALL", key) for key in self._keys]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def titles_of(redis: Any, clock: Clock) -> WithdrawnTitles:
    async def connect() -> RedisReads:
        return RedisReads(redis, max_reads=10)

    async def nothing(_: object) -> None: ...

    store = Store(Driver("redis", connect, nothing, nothing, (OSError,)), Settings())
    store.open()
    while await store.missing():
        await asyncio.sleep(0)
    return WithdrawnTitles(store, Settings(withdrawn_titles_checked_s=1.0), clock=clock)


async def test_they_are_read_when_the_view_has_moved_and_not_by_the_clock() -> None:
    redis, clock = Redis(), Clock()
    titles = await titles_of(redis, clock)
    assert titles.known() is None
    assert await titles.now() == titles.known() == TAKEN
    redis.rows[b"ran"] = b'8:0:{"withdrawn":true}'
    redis.places[b"playback.events:0"] = b"200:199"
    for clock.now_s in (1.0, 60.0):
        assert titles.known() is None
        assert await titles.now() == TAKEN
    assert redis.read.count(KEY) == 1
    redis.places[b"catalog.events:3"] = b"8:7"
    assert titles.known() == TAKEN
    clock.now_s = 61.0
    assert await titles.now() == {"heat", "ran"}


async def test_a_redis_that_came_back_empty_has_none() -> None:
    redis, clock = Redis(), Clock()
    titles = await titles_of(redis, clock)
    await titles.now()
    redis.places, redis.rows = {}, {}
    assert await titles.now() == frozenset()


async def test_who_knows_that_the_view_has_moved_looks_at_once() -> None:
    redis, clock = Redis(), Clock()
    titles = await titles_of(redis, clock)
    await titles.now()
    redis.places[b"operations.events:0"], redis.rows = b"1:0", {}
    assert titles.known() == TAKEN
    titles.forget()
    assert titles.known() is None
    assert await titles.now() == frozenset()
