"""The last samples of a topic, one for each interval without a gap, and what a client that follows them gets next.

Pure: what comes next is a matter of what was sent last. An id is when a sample's interval began, by the wall clock, so
that every process calls it the same, and a client may come back to another one than it left.
"""

from collections import deque
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from query_api.live.readings import Reading

AHEAD_MAX_INTERVALS: Final = 2
"""So much earlier than ours may another process' clock have been; what is further ahead was never sent."""


class Sample(NamedTuple):
    """What was read in the interval that began at `at_ms` (since 1970)."""

    at_ms: int
    reading: Reading


class Window:
    """The samples that are kept: at most `most`, of intervals that follow each other."""

    def __init__(self, most: int, interval_ms: int) -> None:
        self.interval_ms = interval_ms
        self._most = most
        self._samples: deque[Sample] = deque(maxlen=most)

    @property
    def newest(self) -> Sample | None:
        """The last one."""
        return self._samples[-1] if self._samples else None

    def add(self, sample: Sample) -> None:
        """Keep another. An interval in which none was taken, since the process was busy, gets the one that came after;
        after a longer gap, or when the clock was put back, nothing of before is kept.
        """
        newest = self.newest
        if newest is not None:
            missed = range(newest.at_ms + self.interval_ms, sample.at_ms, self.interval_ms)
            if sample.at_ms <= newest.at_ms or len(missed) >= self._most:
                self._samples.clear()
            else:
                self._samples.extend(Sample(at_ms, sample.reading) for at_ms in missed)
        self._samples.append(sample)

    def clear(self) -> None:
        """Keep nothing."""
        self._samples.clear()

    def after(self, at_ms: int) -> list[Sample] | None:
        """Those that follow the one of an id; None when it cannot be told that none is missing."""
        if not self._samples:
            return []
        oldest, newest = self._samples[0].at_ms, self._samples[-1].at_ms
        if at_ms > newest + AHEAD_MAX_INTERVALS * self.interval_ms or at_ms + self.interval_ms < oldest:
            return None
        first = max(0, (at_ms - oldest) // self.interval_ms + 1)
        return list(islice(self._samples, first, None))


class Why(StrEnum):
    """What stands before a sample that does not follow the one sent last."""

    RESET = "reset"
    """What was missed is not known here any more."""
    SKIPPED = "skipped"
    """The client reads too slowly to be sent all."""


class Step(NamedTuple):
    """What a client gets next. `skipped`: how many samples were left out, when that is why."""

    sample: Sample
    why: Why | None = None
    skipped: int = 0


class Following:
    """Where one client is in a window. `after_ms`: the id that it got last, None when it has none."""

    def __init__(self, window: Window, *, after_ms: int | None, behind_max: int) -> None:
        self.after_ms = after_ms
        self._window = window
        self._behind_max = behind_max
        newest = window.newest
        self._resumes_to_ms = newest.at_ms if newest is not None else 0  # all of it, however much that is

    def step(self) -> Step | None:
        """The next one, which counts as sent; None when there is nothing to send yet."""
        found = self._next()
        if found is not None:
            self.after_ms = found.sample.at_ms
        return found

    def _next(self) -> Step | None:
        newest = self._window.newest
        if newest is None:
            return None
        if self.after_ms is None:
            return Step(newest)
        missed = self._window.after(self.after_ms)
        if missed is None:
            return Step(newest, Why.RESET)
        if not missed:
            return None
        if len(missed) > self._behind_max and self.after_ms >= self._resumes_to_ms:
            return Step(newest, Why.SKIPPED, len(missed) - 1)
        return Step(missed[0])
