"""How many records a projection applies in a second: from how far it was, each time that somebody looked lately."""

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias

Place: TypeAlias = tuple[str, int]
SAMPLES_MAX: Final = 64


class Pace:
    """What was applied in a second, over a window of time in which somebody looked."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, Mapping[Place, int]]] = deque(maxlen=SAMPLES_MAX)

    def of(self, applied: Mapping[Place, int], now_s: float) -> float | None:
        """The pace since the oldest look of that time. What moved back, or was not there, counts nothing."""
        while self._samples and now_s - self._samples[0][0] > self._window_s:
            self._samples.popleft()
        self._samples.append((now_s, applied))
        since_s, then = self._samples[0]
        if since_s >= now_s:
            return None
        moved = sum(max(offset - then[place], 0) for place, offset in applied.items() if place in then)
        return moved / (now_s - since_s)
