"""Whether Redis has all rows, or is being filled again from Kafka after it came back empty: so that an app can tell a
profile that watched nothing from one whose rows are still to come.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from infra.clock import monotonic_s
from infra.settings import Settings
from query_api.playback import TOPIC
from query_api.read_your_writes import ReadApplied
from query_api.stores import StoreUnavailable
from query_api.subscription import TOPIC as SUBSCRIPTION

TOPICS: Final = (TOPIC, SUBSCRIPTION)
"""What the rows are folded from, and what says which of them may be played."""
NOTHING: Final = -1
"""The position of a partition of which nothing is applied."""
Positions: TypeAlias = dict[tuple[str, int], int]
"""The last position that was applied, by topic and partition."""


class Refill:
    """Compares how far Redis's projection is with how far this process has seen it, and with what Postgres's had
    applied settings.refill_witness_s ago: when it is not as far, rows are missing. That is looked at at most once in
    settings.refill_checked_s, by one for all who ask meanwhile; read() looks now. Rows that are read after Redis had
    all are all: checkpoints move after rows.
    """

    def __init__(
        self,
        redis: ReadApplied,
        postgres: ReadApplied,
        settings: Settings,
        *,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._settings = settings
        self._clock = clock
        self._due: Positions = {}
        self._witness: Positions = {}
        self._witnessed_at_s = float("-inf")
        self._is_complete = False
        self._known_at_s = float("-inf")
        self._reading: asyncio.Task[bool] | None = None

    def known(self) -> bool | None:
        """Whether Redis has all rows, if that was seen a moment ago."""
        return self._is_complete if self._clock() - self._known_at_s < self._settings.refill_checked_s else None

    async def now(self) -> bool:
        """Whether it has, seen by one for all who ask meanwhile. Raises what Redis's client raises."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self.read())
        return await asyncio.shield(self._reading)

    async def read(self) -> bool:
        """Whether it has, after whatever was read before. Raises what Redis's client raises."""
        began_s = self._clock()
        applied = await _positions(self._redis)
        if began_s - self._witnessed_at_s >= self._settings.refill_witness_s:
            await self._ask_witness(began_s)
        for place, position in applied.items():
            self._due[place] = max(position, self._due.get(place, NOTHING))
        begun = any(topic == TOPIC for topic, _ in applied)
        self._is_complete = begun and all(
            applied.get(place, NOTHING) >= position for place, position in self._due.items()
        )
        self._known_at_s = began_s
        return self._is_complete

    async def _ask_witness(self, now_s: float) -> None:
        """What Postgres had when it was last asked is due now; while it is away, that stays so."""
        self._witnessed_at_s = now_s
        try:
            async with asyncio.timeout(self._settings.playable_titles_timeout_s):
                said = await _positions(self._postgres)
        except (StoreUnavailable, TimeoutError):
            return
        for place, position in (self._witness or said).items():
            if said.get(place, NOTHING) < position:  # the log itself begins anew
                self._due[place] = said.get(place, NOTHING)
            else:
                self._due[place] = max(position, self._due.get(place, NOTHING))
        self._witness = said


async def _positions(read: ReadApplied) -> Positions:
    by_topic = await asyncio.gather(*(read(topic) for topic in TOPICS))
    return {
        (topic, partition): position
        for topic, applied in zip(TOPICS, by_topic, strict=True)
        for partition, position in applied.items()
    }
