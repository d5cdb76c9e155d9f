"""Where slabs wait between the consumer that fetches them and the engine that applies them: bounded by records."""

from collections import deque

from projections.slabs import Slab


class Inbox:
    """Slabs in the order that they came. `limit`: records that may wait before no more are fetched."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slabs: deque[Slab] = deque()
        self.records = 0

    @property
    def has_room(self) -> bool:
        """Whether more may be fetched."""
        return self.records < self._limit

    def put(self, slab: Slab) -> None:
        """Add a slab."""
        self._slabs.append(slab)
        self.records += len(slab.records)

    def take(self) -> list[Slab]:
        """Whatever waits, up to the limit in records, at least one slab if there is one."""
        taken: list[Slab] = []
        count = 0
        while self._slabs and (not taken or count + len(self._slabs[0].records) <= self._limit):
            slab = self._slabs.popleft()
            taken.append(slab)
            count += len(slab.records)
        self.records -= count
        return taken

    def clear(self) -> None:
        """Forget what waits."""
        self._slabs.clear()
        self.records = 0
