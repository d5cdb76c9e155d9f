"""At which pace a version is built: it yields to a throttle, to whoever pauses it, and to the live views, whenever they
are behind.
"""

import asyncio
from typing import Self

from infra.clock import monotonic_s
from infra.settings import Settings
from infra.view_lag import Ends
from projections.slabs import Partition
from projections.versions.entry import Entry
from projections.versions.groups import Group
from projections.versions.placing import Place


class Interrupted(Exception):
    """What cannot be left half done is done later, as somebody paused it."""


class Pace:
    """Says whether to go on, and with how many records. Use as a context; its methods raise what a Place's do.

    `waits`: what the build waits for, if it does.
    """

    def __init__(self, group: Group, entry: Entry, place: Place, settings: Settings) -> None:
        self.waits: str | None = None
        self._group = group
        self._entry = entry
        self._place = place
        self._settings = settings
        self._asked_at_s = float("-inf")

    async def __aenter__(self) -> Self:
        self._ends = await Ends(self._settings).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ends.__aexit__()

    async def next_records(self) -> int:
        """How many records to take now; sleeps as long as the throttle says."""
        most, rate = self._settings.rebuild_batch_records, self._entry.version.max_events_per_s
        if rate is None:
            return most
        most = max(1, min(most, rate // 10))
        await asyncio.sleep(most / rate)
        return most

    async def held_back(self) -> bool:
        """Whether somebody paused it, or the live views come first."""
        now_s = monotonic_s()
        if now_s - self._asked_at_s >= self._settings.rebuild_lag_poll_s:
            self._asked_at_s = now_s
            await self._entry.look()
            self.waits = "paused" if self._entry.version.paused else await self._live_lag()
        if self.waits:
            await asyncio.sleep(self._settings.rebuild_lag_poll_s)
        return self.waits is not None

    async def between_chunks(self, rows: int) -> None:
        """Yield while a version is added up, as between its rounds; raises Interrupted. Nothing is noted: it has the
        registry's row locked who retires the version, and waits for us.
        """
        if rate := self._entry.version.max_events_per_s:
            await asyncio.sleep(rows / rate)
        while await self.held_back():
            if self._entry.version.paused:
                raise Interrupted

    async def _live_lag(self) -> str | None:
        applied = await self._place.limits()
        for topic in self._group.topics:
            for number, end in (await self._ends.of(topic)).items():
                lag = end - applied.get(Partition(topic, number), end)
                if lag > self._settings.rebuild_pause_lag_records:
                    return f"the live views are {lag} records behind in {topic}/{number}, and come first"
        return None
