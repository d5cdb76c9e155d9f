"""Where the views in Postgres are: what changes exactly when they apply something, or when another version of one is
swapped in. Read once for all who ask at about the same time.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from infra.clock import monotonic_s
from infra.postgres import Pool
from infra.settings import Settings
from query_api.stores import Store

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


class Places:
    """The places, read at most once in settings.reply_cache_position_age_s: a view that has moved is known to have
    after that time and one read, at the latest.
    """

    def __init__(self, store: Store[Pool], settings: Settings, *, clock: Callable[[], float] = monotonic_s) -> None:
        self._store = store
        self._age_s = settings.reply_cache_position_age_s
        self._clock = clock
        self._known: Mapping[str, str] = {}
        self._read_at_s = float("-inf")
        self._reading: asyncio.Task[Mapping[str, str]] | None = None

    async def now(self, topics: tuple[str, ...]) -> Place:
        """The place of the views of some topics. Raises StoreUnavailable."""
        known = self._known
        if self._clock() - self._read_at_s >= self._age_s:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read())
            known = await asyncio.shield(self._reading)
        return (*map(known.get, topics), known.get(RETRIES))

    async def _read(self) -> Mapping[str, str]:
        began_s = self._clock()
        async with self._store.use() as pool:
            rows = await pool.fetch(PLACES)
        self._known = {row["topic"]: row["place"] for row in rows}
        self._read_at_s = began_s
        return self._known
