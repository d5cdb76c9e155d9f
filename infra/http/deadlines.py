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


class Limit:
    """Cancels the task that makes it when its time is over: what asyncio.timeout() does, at a tenth of the cost."""

    __slots__ = ("_is_over", "_task", "ends_s")

    def __init__(self, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._is_over = False
        self.ends_s = task.get_loop().time() + timeout_s

    def overdue(self) -> None:
        """Cancel it."""
        self._is_over = True
        self.ends_s = NEVER
        self._task.cancel()

    def is_ours(self) -> bool:
        """Whether the task was cancelled because its time was over, and for nothing else."""
        return self._is_over and self._task.uncancel() == 0


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
