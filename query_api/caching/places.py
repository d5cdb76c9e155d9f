"""Where the views in Postgres are: what changes exactly when they apply something, or when another version of one is
swapped in. Read once for all who ask at about the same time.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from infra.clock import monotonic_s
from infra.postgres import Pool
from infra.settings import Settings
from query_api.stores import Store

PLAYBACK: Final = "playback.events"
RETRIES: Final = "operations.events"
"""A retry of a dead letter changes a view of any topic, and moves the checkpoint of this one alone (ADR 20)."""
PLACES: Final = """
    select topic, md5(string_agg(
        concat_ws(':', projection, partition, next_offset, swaps), ',' order by projection, partition
    )) as place
    from projection_checkpoint
    where projection = 'postgres'
       or projection in (
           select 'postgres/' || view || '@' || version from view_versions where state = 'live' and keeper = 'rebuild'
       )
    group by topic
"""
"""By topic, a digest of all checkpoints under which its live views are kept; compare postgres_progress."""

Place: TypeAlias = tuple[str | None, ...]
"""Of some topics; None of one that no view has begun."""


class Seen(NamedTuple):
    """The places by topic, as they were read at a time (monotonic)."""

    at_s: float
    places: Mapping[str, str]


class Places:
    """The places, read at most once in settings.reply_cache_position_age_s, and for replies about what is played in
    settings.reply_cache_playback_age_s: a view that has moved is known to have after that time and one read, at the
    latest. Playback moves all the time, and a place that is never old would be a new one for each request.
    """

    def __init__(self, store: Store[Pool], settings: Settings, *, clock: Callable[[], float] = monotonic_s) -> None:
        self._store = store
        self._age_s = settings.reply_cache_position_age_s
        self._playback_age_s = settings.reply_cache_playback_age_s
        self._timeout_s = settings.reply_cache_timeout_s
        self._clock = clock
        self._seen: dict[float, Seen] = {}
        self._reading: asyncio.Task[Seen] | None = None

    async def now(self, topics: tuple[str, ...]) -> Place:
        """The place of the views of some topics. Raises StoreUnavailable, TimeoutError."""
        age_s = self._playback_age_s if PLAYBACK in topics else self._age_s
        seen = self._seen.get(age_s)
        if seen is None or self._clock() - seen.at_s >= age_s:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read())
            seen = self._seen[age_s] = await asyncio.shield(self._reading)
        return (*map(seen.places.get, topics), seen.places.get(RETRIES))

    async def _read(self) -> Seen:
        began_s = self._clock()
        async with asyncio.timeout(self._timeout_s), self._store.use() as pool:
            rows = await pool.fetch(PLACES)
        return Seen(began_s, {row["topic"]: row["place"] for row in rows})
