"""Ends what takes too long, with one timer for everything that waits: every report pays for its deadline, and nearly
none ever comes to it.
"""

import asyncio
import math
from typing import Final, Protocol

NEVER: Final = math.inf
LONGEST_ROUND_S: Final = 0.5
ROUNDS: Final = 8
"""In the shortest time that anything may take; so much later, at most, is it ended."""


class Waiting(Protocol):
    """Something that may take too long. `ends_s`: by the loop's clock; NEVER while it may take as long as it likes."""

    ends_s: float

    def overdue(self) -> None:
        """Its time is over."""


class Deadlines:
    """Everything of one kind that waits now. `shortest_s`: the shortest time that any of it is given."""

    def __init__(self, shortest_s: float) -> None:
        self._round_s = min(LONGEST_ROUND_S, shortest_s / ROUNDS)
        self._waiting: set[Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, waiting: Waiting) -> None:
        """Look after it."""
        self._waiting.add(waiting)
        if self._timer is None:
            self._wind()

    def discard(self, waiting: Waiting) -> None:
        """It is over."""
        self._waiting.discard(waiting)

    def _wind(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._round_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        for each in [each for each in self._waiting if each.ends_s <= now_s]:
            each.overdue()
        if self._waiting:
            self._wind()
