"""Read your own writes: a query that sends Playhead-Position waits, bounded, until its view has applied it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from infra.clock import monotonic_s
from infra.http.problems import ProblemKind, Refusal
from infra.positions import Position
from infra.settings import Settings

Applied = Mapping[int, int]
"""The last position that a view has applied, by partition of a topic."""
ReadApplied = Callable[[str], Awaitable[Applied]]
"""Reads what a view has applied of a topic. Raises StoreUnavailable."""


class ViewBehind(Refusal):
    """The view had not applied the asked position in time."""


VIEW_BEHIND = ProblemKind(503, "view-behind", "The view has not reached the position yet")


class Checkpoint:
    """How far the views of a store are; read at most once per poll interval, however many requests wait.

    Positions only grow, so one that was read a moment ago can make a request wait longer, never read too early.
    """

    def __init__(
        self,
        store: str,
        read: ReadApplied,
        settings: Settings,
        *,
        clock: Callable[[], float] = monotonic_s,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._read = read
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._known: dict[str, tuple[float, Applied]] = {}
        self._reading: dict[str, asyncio.Task[Applied]] = {}

    async def reached(self, topic: str, positions: Sequence[Position]) -> None:
        """Return when all positions of `topic` are applied; those of other topics are not this view's to wait for.

        Raises ViewBehind after settings.read_your_writes_wait_s.
        """
        wanted = [position for position in positions if position.topic == topic]
        if not wanted:
            return
        deadline_s = self._clock() + self._settings.read_your_writes_wait_s
        while behind := _behind(wanted, await self._applied(topic)):
            left_s = deadline_s - self._clock()
            if left_s <= 0:
                raise self._refusal(behind)
            await self._sleep(min(self._settings.read_your_writes_poll_s, left_s))

    async def _applied(self, topic: str) -> Applied:
        read_at, applied = self._known.get(topic, (float("-inf"), {}))
        if self._clock() - read_at < self._settings.read_your_writes_poll_s:
            return applied
        reading = self._reading.get(topic)
        if reading is None or reading.done():
            reading = self._reading[topic] = asyncio.create_task(self._read_now(topic))
        return await asyncio.shield(reading)

    async def _read_now(self, topic: str) -> Applied:
        applied = await self._read(topic)
        self._known[topic] = (self._clock(), applied)
        return applied

    def _refusal(self, behind: Sequence[Position]) -> ViewBehind:
        return ViewBehind(
            f"{self._store.title()} has not applied {', '.join(map(str, behind))} within"
            f" {self._settings.read_your_writes_wait_s:g} s. Try again, or leave the header out for what is there.",
            members={"store": self._store, "behind": list(map(str, behind))},
            headers={"Retry-After": str(self._settings.retry_after_s)},
        )


def _behind(wanted: Sequence[Position], applied: Applied) -> list[Position]:
    return [at for at in wanted if applied.get(at.partition, -1) < at.position]
