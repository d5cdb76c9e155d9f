"""A Postgres that knows where its views are and when a window of the catalog turns, and a clock beside it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from infra.settings import Settings
from query_api.caching.places import PLACES, Places
from query_api.caching.turns import NEXT, Turns
from query_api.stores import Driver, Store

NOW_S = 1_770_000_000.0


class Views:
    """What Postgres answers; `places`: by topic."""

    def __init__(self) -> None:
        self.places = {"catalog.events": "a", "playback.events": "b"}
        self.next_turn_s: float | None = None
        self.now_s = NOW_S
        self.is_away = False
        self.is_hanging = False
        self.looked = 0
        self.turns_read = 0

    def clock(self) -> float:
        return self.now_s

    async def fetch(self, statement: str, *_: object) -> list[Mapping[str, str]]:
        assert statement == PLACES
        await self._answer()
        self.looked += 1
        return [{"topic": topic, "place": place} for topic, place in self.places.items()]

    async def fetchval(self, statement: str, now_s: float) -> float | None:
        assert statement == NEXT
        await self._answer()
        self.turns_read += 1
        return self.next_turn_s

    async def _answer(self) -> None:
        if self.is_hanging:
            await asyncio.Event().wait()
        if self.is_away:
            raise ConnectionRefusedError


async def store_of(views: Views) -> Store[Any]:
    async def connect() -> Any:
        return views

    async def nothing(_: object) -> None: ...

    store = Store[Any](Driver("postgres", connect, nothing, nothing, (OSError, TimeoutError)), Settings())
    store.open()
    while await store.missing():
        await asyncio.sleep(0)
    return store


async def places_of(views: Views, **settings: Any) -> Places:
    return Places(await store_of(views), Settings(**settings), clock=views.clock)


async def turns_of(views: Views, **settings: Any) -> Turns:
    return Turns(await store_of(views), Settings(**settings), clock=views.clock)
