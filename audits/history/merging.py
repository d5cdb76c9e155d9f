"""Many partitions, each in its own order, as one history: by time, then by the partitions' own order. Memory holds two
chunks of each at most, one that is being merged and one that is read ahead.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from audits.history.chunks import Chunk
from audits.history.events import HistoryEvent


class _Head:
    """What is there of one partition. `rank`: its place in the order of partitions."""

    def __init__(self, rank: int, chunks: AsyncGenerator[Chunk]) -> None:
        self.rank = rank
        self.times: list[int] = []
        self.is_over = False
        self._events: list[HistoryEvent] = []
        self._at = 0
        self._chunks = chunks
        self._next: asyncio.Task[Chunk | None] | None = asyncio.create_task(self._read())

    async def _read(self) -> Chunk | None:
        return await anext(self._chunks, None)

    @property
    def is_empty(self) -> bool:
        return self._at == len(self.times)

    @property
    def last(self) -> tuple[int, int]:
        """The last place in the whole order up to which all of this partition is here."""
        return self.times[-1], self.rank

    async def fill(self) -> None:
        """Have something of it, unless it is over."""
        while self.is_empty and self._next is not None:
            chunk = await self._next
            if chunk is None:
                self.is_over, self._next = True, None
                return
            self._at, self.times, self._events = 0, chunk.times, chunk.events
            self._next = asyncio.create_task(self._read())

    def take(self, until: tuple[int, int] | None) -> Chunk:
        """What lies before a place in the whole order, or at it; None: all."""
        begin, end = self._at, len(self.times)
        if until is not None:
            bisect = bisect_right if self.rank <= until[1] else bisect_left
            end = bisect(self.times, until[0], begin)
        self._at = end
        return Chunk(self.times[begin:end], self._events[begin:end])

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError, Exception):  # nobody waits for it any more
                await self._next
        await self._chunks.aclose()


async def merged(partitions: Sequence[AsyncGenerator[Chunk]]) -> AsyncGenerator[list[HistoryEvent]]:
    """The events of partitions, which come in their order, some at a time."""
    heads = [_Head(rank, chunks) for rank, chunks in enumerate(partitions)]
    try:
        while True:
            await asyncio.gather(*(head.fill() for head in heads if head.is_empty))
            heads = [head for head in heads if not (head.is_over and head.is_empty)]
            if not heads:
                return
            # Up to here nothing can come any more that is not here: after it something may.
            until = min((head.last for head in heads if not head.is_over), default=None)
            parts = [part for head in heads if (part := head.take(until)).times]
            if parts:
                yield _in_order(parts)
    finally:
        for head in heads:
            await head.close()


def _in_order(parts: Sequence[Chunk]) -> list[HistoryEvent]:
    """Parts in the order of their partitions, as one: sorting keeps the order of equal times."""
    if len(parts) == 1:
        return parts[0].events
    times = [time for part in parts for time in part.times]
    events = [event for part in parts for event in part.events]
    return [events[place] for place in sorted(range(len(times)), key=times.__getitem__)]
