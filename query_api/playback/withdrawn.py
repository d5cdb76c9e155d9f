"""The titles that were withdrawn: what continue watching leaves out. Redis hash catalog_withdrawn:{all}."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from infra.clock import monotonic_s
from infra.settings import Settings
from query_api.redis_reads import RedisReads
from query_api.stores import Store

KEY: Final = "catalog_withdrawn:{all}"


class WithdrawnTitle(msgspec.Struct):
    """A row as the projection stores it, without what only the projection needs."""

    withdrawn: bool


_rows = msgspec.json.Decoder(WithdrawnTitle)


class WithdrawnTitles:
    """The titles, read at most once in settings.withdrawn_titles_kept_s: beside the reads of whoever needs them next,
    in the same round trip. So a title is still offered for that long after the view has it; forget() for less.
    """

    def __init__(
        self, store: Store[RedisReads], settings: Settings, *, clock: Callable[[], float] = monotonic_s
    ) -> None:
        self._store = store
        self._kept_s = settings.withdrawn_titles_kept_s
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._read_at_s = float("-inf")
        self._reading: asyncio.Task[frozenset[str]] | None = None

    def known(self) -> frozenset[str] | None:
        """The ids of titles and series, if they were read a moment ago."""
        return self._known if self._clock() - self._read_at_s < self._kept_s else None

    async def now(self) -> frozenset[str]:
        """The ids, read now, by one for all who ask meanwhile. Raises what the store's client raises, and
        StoreUnavailable.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    def forget(self) -> None:
        """Read them anew when they are needed next: the view is known to have moved."""
        self._read_at_s = float("-inf")
        self._reading = None

    async def _read(self) -> frozenset[str]:
        began_s = self._clock()
        fields = await self._store.connected().fields(KEY)
        known = frozenset(title_id.decode() for title_id, value in fields.items() if _is_withdrawn(value))
        if known != self._known:  # as long as they are the same, the set is the same one: to compare it costs nothing
            self._known = known
        self._read_at_s = began_s
        return self._known


def _is_withdrawn(value: bytes) -> bool:
    """Of a value "<offset>:<updated_ms>:<row>"."""
    return _rows.decode(value.split(b":", 2)[2]).withdrawn
