"""Versions of views in Redis: their hashes, checkpoints, and the one script that has one of them live."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from infra.ids import new_id
from infra.live_views import IN_REDIS, Keeper, LiveView, checkpoints_in_redis, encoded, name_in_redis, projection_of
from infra.redis import Redis, connect
from infra.settings import Settings
from projections.stores import redis_live
from projections.stores.redis import CHECKPOINTS, NAME, hash_of, told_apart
from projections.stores.scripts import Script
from projections.versions.changes import NotReached
from projections.versions.groups import Group
from projections.versions.recorded import Key, Pair
from projections.versions.registry import VersionRefused

LET_GO: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisHome:
    """See Home. A round of a worker's that began before a change cannot end after it: nothing is to be waited for."""

    settle_s = 0.0

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Redis = connect(settings)
        self._put = Script("put_live")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def live(self, view: str) -> LiveView:
        """See Home."""
        with told_apart():
            live, _ = await redis_live.read(self._client)
        if view not in live:
            raise VersionRefused(f"{view} has no live version: did the projection of Redis ever run?")
        return live[view]

    async def is_kept(self, view: str, version: int) -> bool:
        """See Home."""
        with told_apart():
            return bool(await self._client.exists(_own(view, version)))

    async def create(self, view: str, version: int) -> None:
        """Nothing is to be made."""

    async def drop(self, view: str, version: int) -> None:
        """See Home. A few keys at a time, so that nobody waits for it."""
        with told_apart():
            await self._client.delete(_own(view, version), f"{_own(view, version)}:moved")
            async for keys in self._keys(f"{name_in_redis(view, version)}:*"):
                await self._client.unlink(*keys)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """See Home. Should we die meanwhile, it ends by itself."""
        mine, for_ms = new_id(), int(1000 * 2 * self._settings.view_swap_locked_max_s)
        with told_apart():
            if not await self._client.set(redis_live.HOLD, mine, nx=True, px=for_ms):
                raise NotReached
            try:
                yield
            finally:
                await self._client.eval(LET_GO, 1, redis_live.HOLD, mine)

    async def put(self, view: str, was: LiveView, now: LiveView) -> bool:
        """See Home. Not unless the version is as far as the projection."""
        keys = [IN_REDIS, CHECKPOINTS, _own(view, now.version)]
        if was.keeper is Keeper.PROJECTION and was.version != now.version:
            keys.append(_own(view, was.version))
        forgets = "1" if now.keeper is Keeper.PROJECTION else "0"
        with told_apart():
            put = await self._client.eval(self._put.source, len(keys), *keys, view, encoded(was), encoded(now), forgets)
        return bool(put == 1)

    async def seen(self, view: str, version: int) -> tuple[float | None, float | None]:
        """See Home."""
        fields = [redis_live.field_of(view, version, current=current) for current in (True, False)]
        with told_apart():
            now_ms = await redis_live.now_of(self._client)
            said = await self._client.hmget(redis_live.SEEN, fields)
        current_s, outdated_s = (None if each is None else (now_ms - int(each)) / 1000 for each in said)
        return current_s, outdated_s

    async def pages(self, group: Group, live: int, other: int) -> AsyncIterator[Sequence[Pair]]:
        """See Home: those that are live, then those that are only in the other. A hash that Redis names twice, as it
        may while it grows, counts twice on both sides.
        """
        for version in (live, other):
            async for profiles in self._profiles(name_in_redis(group.name, version)):
                pairs = await self._of_profiles(group.name, live, other, profiles)
                yield [pair for pair in pairs if (pair.live is None) == (version == other)]

    async def rows(self, group: Group, version: int) -> AsyncIterator[Sequence[Pair]]:
        """Every row of one version, beside itself. A hash that Redis names twice as it grows comes twice."""
        async for profiles in self._profiles(name_in_redis(group.name, version)):
            yield await self._of_profiles(group.name, version, version, profiles)

    async def _profiles(self, name: str) -> AsyncIterator[list[str]]:
        async for keys in self._keys(f"{name}:*"):
            yield [key[len(name) + 2 : -1] for key in keys]

    async def _keys(self, pattern: str) -> AsyncIterator[list[str]]:
        scanned: Any = [0, []]
        while True:
            with told_apart():
                count = self._settings.view_verify_page_rows
                scanned = await self._client.scan(scanned[0], match=pattern, count=count)
            if scanned[1]:
                yield [key.decode() for key in scanned[1]]
            if not int(scanned[0]):
                return

    async def _of_profiles(self, view: str, live: int, other: int, profiles: Sequence[str]) -> list[Pair]:
        pipeline = self._client.pipeline(transaction=False)
        for profile_id in profiles:
            for version in (live, other):
                pipeline.hgetall(hash_of(name_in_redis(view, version), profile_id))
        with told_apart():
            hashes = await pipeline.execute()
        return [
            Pair((profile_id, field.decode()), _row(one.get(field)), _row(two.get(field)))
            for profile_id, one, two in zip(profiles, hashes[::2], hashes[1::2], strict=True)
            for field in {**one, **two}
        ]

    async def pairs(self, group: Group, live: int, other: int, keys: Sequence[Key]) -> Sequence[Pair]:
        """See Home."""
        pipeline = self._client.pipeline(transaction=False)
        for profile_id, field in keys:
            for version in (live, other):
                pipeline.hget(hash_of(name_in_redis(group.name, version), profile_id), field)
        with told_apart():
            values = await pipeline.execute()
        return [Pair(key, _row(one), _row(two)) for key, one, two in zip(keys, values[::2], values[1::2], strict=True)]


def _row(value: bytes | None) -> bytes | None:
    """The row of a value "<offset>:<updated_ms>:<row>"."""
    return None if value is None else value.split(b":", 2)[2]


def _own(view: str, version: int) -> str:
    return checkpoints_in_redis(projection_of(NAME, view, version))
