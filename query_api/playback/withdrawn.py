"""The titles that were withdrawn: what continue watching leaves out. Redis hash catalog_withdrawn:{all}."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from infra.clock import monotonic_s
from infra.settings import Settings
from query_api.caching.places import RETRIES
from query_api.catalog import TOPIC
from query_api.redis_reads import RedisReads
from query_api.stores import Store

VIEW: Final = "catalog_withdrawn"
KEY: Final = f"{VIEW}:{{all}}"
PARTITIONS: Final = (f"{TOPIC}:".encode(), f"{RETRIES}:".encode())
"""What the fields of the checkpoints begin with that move when the view does."""


class WithdrawnTitle(msgspec.Struct):
    """A row as the projection stores it, without what only the projection needs."""

    withdrawn: bool


_rows = msgspec.json.Decoder(WithdrawnTitle)


class WithdrawnTitles:
    """The titles, read when the view has moved. Whether it has is asked at most once in
    settings.withdrawn_titles_checked_s: beside the reads of whoever needs them next, in the same round trip. So a title
    is still offered for that long after the view has it, at most; forget() for less.
    """

    def __init__(
        self, store: Store[RedisReads], settings: Settings, *, clock: Callable[[], float] = monotonic_s
    ) -> None:
        self._store = store
        self._checked_s = settings.withdrawn_titles_checked_s
        self._clock = clock
        self._known: frozenset[str] = frozenset()
        self._place: object = None
        self._looked_at_s = float("-inf")
        self._reading: asyncio.Task[frozenset[str]] | None = None

    def known(self) -> frozenset[str] | None:
        """The ids of titles and series, if somebody looked a moment ago."""
        return self._known if self._clock() - self._looked_at_s < self._checked_s else None

    async def now(self) -> frozenset[str]:
        """The ids, looked for by one for all who ask meanwhile. Raises what the store's client raises, and
        StoreUnavailable.
        """
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(self._reading)

    def forget(self) -> None:
        """Look when they are needed next: the view is known to have moved."""
        self._looked_at_s = float("-inf")
        self._reading = None

    async def _read(self) -> frozenset[str]:
        began_s, reads = self._clock(), self._store.connected()
        place = _place(await reads.applied("redis")), reads.name_of(VIEW)
        if place != self._place:
            fields = await reads.fields(KEY)
            known = frozenset(title_id.decode() for title_id, value in fields.items() if _is_withdrawn(value))
            if known != self._known:  # while they are the same, the set is the same one: to compare it costs nothing
                self._known = known
            self._place = place
        self._looked_at_s = began_s
        return self._known


def _place(checkpoints: Sequence[Mapping[bytes, bytes]]) -> object:
    """Where the view is: what its rows are at least as new as, since they are written before it moves."""
    return [{field: each[field] for field in each if field.startswith(PARTITIONS)} for each in checkpoints]


def _is_withdrawn(value: bytes) -> bool:
    """Of a value "<offset>:<updated_ms>:<row>"."""
    return _rows.decode(value.split(b":", 2)[2]).withdrawn
