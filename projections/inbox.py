"""Where slabs wait between the consumer that fetches them and the engine that applies them, within bounds."""

from collections import deque

from projections.slabs import Slab


class Inbox:
    """Slabs in the order that they came. `limit`, `limit_bytes`: what may wait before no more is fetched, and what is
    taken at once.
    """

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit, self._limit_bytes = limit, limit_bytes
        self._slabs: deque[tuple[Slab, int]] = deque()
        self.records = 0
        self.bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched."""
        return self.records < self._limit and self.bytes < self._limit_bytes

    def put(self, slab: Slab) -> None:
        """Add a slab."""
        size = slab.size
        self._slabs.append((slab, size))
        self.records += len(slab.records)
        self.bytes += size

    def take(self) -> list[Slab]:
        """Whatever waits, up to the limits, at least one slab if there is one."""
        taken: list[Slab] = []
        count = size = 0
        while self._slabs and (not taken or self._fits(count, size)):
            slab, bytes_ = self._slabs.popleft()
            taken.append(slab)
            count += len(slab.records)
            size += bytes_
        self.records -= count
        self.bytes -= size
        return taken

    def _fits(self, count: int, size: int) -> bool:
        """Whether the next slab fits beside what is taken."""
        slab, bytes_ = self._slabs[0]
        return count + len(slab.records) <= self._limit and size + bytes_ <= self._limit_bytes

    def clear(self) -> None:
        """Forget what waits."""
        self._slabs.clear()
        self.records = self.bytes = 0
