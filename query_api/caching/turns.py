"""Until when a reply holds that depends on the time, while no view moves."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from infra.clock import epoch_s
from infra.postgres import Pool
from infra.settings import Settings
from query_api.caching.declared import Turn
from query_api.caching.places import RETRIES, Place
from query_api.catalog import TOPIC
from query_api.stores import Store

NEXT: Final = """
    select extract(epoch from least(
        (select min(opens_at) from catalog_windows where opens_at > to_timestamp($1)),
        (select min(closes_at) from catalog_windows where closes_at > to_timestamp($1))
    ))::float8
"""
NEVER: Final = float("inf")


class Turns:
    """When it turns. Of the catalog's windows that is read anew when its views have moved, but not more often than
    every settings.reply_cache_turns_interval_s: in between, while an import goes on, nobody can tell.
    """

    def __init__(self, store: Store[Pool], settings: Settings, *, clock: Callable[[], float] = epoch_s) -> None:
        self._store = store
        self._interval_s = settings.reply_cache_turns_interval_s
        self._timeout_s = settings.reply_cache_timeout_s
        self._clock = clock
        self._place: Place | None = None
        self._next_s = NEVER
        self._read_at_s = float("-inf")

    async def next_s(self, turns: Iterable[Turn], topics: Iterable[str], place: Place) -> float | None:
        """Until when what is read from now on holds, epoch seconds; None: nobody can tell. `place`: of the views now.
        Raises StoreUnavailable, TimeoutError.
        """
        now_s, next_s = self._clock(), NEVER
        for turn in turns:
            if turn is Turn.WINDOWS:
                turns_s = await self._windows(_of_catalog(topics, place), now_s)
                if turns_s is None:
                    return None
            else:
                turns_s = (now_s // turn.value + 1) * turn.value
            next_s = min(next_s, turns_s)
        return next_s

    async def _windows(self, place: Place, now_s: float) -> float | None:
        if place == self._place and now_s < self._next_s:
            return self._next_s
        if now_s - self._read_at_s < self._interval_s:
            return None
        self._read_at_s = now_s
        async with asyncio.timeout(self._timeout_s), self._store.use() as pool:
            found: float | None = await pool.fetchval(NEXT, now_s)
        self._place, self._next_s = place, NEVER if found is None else found
        return self._next_s


def _of_catalog(topics: Iterable[str], place: Place) -> Place:
    """What of a place says where the catalog's views are: playback's move without a window's turning."""
    return tuple(one for topic, one in zip((*topics, RETRIES), place, strict=True) if topic in (TOPIC, RETRIES))
