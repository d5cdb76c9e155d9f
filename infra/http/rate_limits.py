"""How many requests somebody may make: windows that are counted in this process, of keys that are bounded in number.

A sliding window of two counters: what was admitted in the window before counts by the share of it that the last
`window_s` seconds still cover. rate_sharing.py adds up what the processes of an installation admitted.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

SecondsClock = Callable[[], float]
TOLD_IN: Final = 50
"""In how many parts a process tells the others of a quota that it admits: who is far from a limit costs no round."""


@dataclass(frozen=True, eq=False)  # one object each, so that looking a key up is quick
class Quota:
    """`most` requests in `window_s` seconds, under the name that RateLimit-Policy gives it."""

    name: str
    most: int
    window_s: int
    policy: bytes = b""
    """As RateLimit-Policy writes it."""
    left: bytes = b""
    """As RateLimit writes it, with the numbers of a verdict."""
    told_each: int = 1
    """How many requests a process admits before it tells the others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", f'"{self.name}";q={self.most};w={self.window_s}'.encode())
        object.__setattr__(self, "left", f'"{self.name}";r=%d;t=%d'.encode())
        object.__setattr__(self, "told_each", max(1, self.most // TOLD_IN))

    @classmethod
    def of(cls, name: str, setting: str) -> "Quota":
        """A quota as it is written in settings: "600 per 60 s"."""
        most, _, rest = setting.partition(" per ")
        return cls(name, int(most), int(rest.removesuffix(" s")))


Key = tuple[Quota, str]
"""Who is counted for which quota: the second."""


class Verdict(NamedTuple):
    """Whether a request is admitted, how many more are, and in how many seconds that changes: `reset_s` to the end of
    the window, `retry_after_s` until one is admitted again (0: it was).
    """

    quota: Quota
    admitted: bool
    left: int
    reset_s: int
    retry_after_s: int


class Window:
    """What one key did in the window that runs, and in the one before. `unsent`: not yet told to the others."""

    __slots__ = ("before", "count", "number", "unsent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.before = 0
        self.unsent = 0

    def move_to(self, number: int) -> None:
        """Begin the window of a number."""
        self.before = self.count if number == self.number + 1 else 0
        self.number, self.count, self.unsent = number, 0, 0


Sent = list[tuple[Key, int, int]]
"""Of keys: the number of the window, and what was admitted in it."""


class Limiter:
    """Counts and decides, in memory. `clock`: seconds since 1970, by which the processes agree on windows."""

    def __init__(self, clock: SecondsClock, *, max_keys: int) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._windows: OrderedDict[Key, Window] = OrderedDict()
        self._touched: list[Key] = []
        self._ended: Sent = []

    def __len__(self) -> int:
        return len(self._windows)

    def take(self, key: Key) -> Verdict:
        """Admit a request, or not; one that is not does not count."""
        quota, now_s = key[0], self._clock()
        window_s = quota.window_s
        number = int(now_s // window_s)
        since_s = now_s - number * window_s
        window = self._window(key, number)
        used: float = window.count
        if window.before:
            used += window.before * (1 - since_s / window_s)
        reset_s = window_s - int(since_s)
        if used + 1 > quota.most:
            return Verdict(quota, False, 0, reset_s, _wait_s(quota, window, since_s))
        window.count += 1
        window.unsent += 1
        if window.unsent == quota.told_each:
            self._touched.append(key)
        return Verdict(quota, True, int(quota.most - used - 1), reset_s, 0)

    def untold(self) -> Sent:
        """What was admitted since this was last asked; at most max_keys."""
        told, self._ended = self._ended, []
        for key in self._touched:
            if (window := self._windows.get(key)) is not None and window.unsent:
                told.append((key, window.number, window.unsent))
                window.unsent = 0
        self._touched.clear()
        return told[-self._max_keys :]

    def learn(self, key: Key, number: int, total: int) -> None:
        """What all processes together admitted in a window."""
        window = self._windows.get(key)
        if window is None:
            return
        if window.number == number:
            window.count = max(window.count, total + window.unsent)
        elif window.number == number + 1:
            window.before = max(window.before, total)

    def _window(self, key: Key, number: int) -> Window:
        windows = self._windows
        window = windows.get(key)
        if window is None:
            window = windows[key] = Window(number)
            if len(windows) > self._max_keys:
                self._forget()
        else:
            windows.move_to_end(key)
            if window.number < number:
                self._end(key, window)
                window.move_to(number)
        return window

    def _forget(self) -> None:
        self._end(*self._windows.popitem(last=False))

    def _end(self, key: Key, window: Window) -> None:
        if window.unsent and len(self._ended) < self._max_keys:
            self._ended.append((key, window.number, window.unsent))


def _wait_s(quota: Quota, window: Window, since_s: float) -> int:
    """Whole seconds until a request is admitted, if no other comes."""
    free = quota.most - 1 - window.count
    if free >= 0 and window.before:
        wait_s = quota.window_s * (1 - free / window.before) - since_s
    else:  # in the next window, when this one counts for little enough
        wait_s = quota.window_s * (2 - (quota.most - 1) / window.count) - since_s
    return max(1, math.ceil(wait_s))
