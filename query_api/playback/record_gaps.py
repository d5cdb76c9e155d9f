"""Finds the CMCD records that never came: gaps in `sn`, of one player's session at one collector. Pure.

A source leaves no gap and begins at 0, so whatever is missing below the highest number was lost on its way, or is late.
Shaka begins again at 0 within a session (a new run), and records arrive in any order; `ts` tells the runs apart.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

LIVE_RUNS_MAX: Final = 16
"""Runs that a record may still belong to; the oldest is closed first."""


class Range(NamedTuple):
    """Numbers that are missing of a run, both ends included; runs are counted from 0."""

    run: int
    first: int
    last: int


class _Run:
    def __init__(self) -> None:
        self.times: dict[int, int] = {}  # ts of each number
        self.numbers: list[int] = []  # ascending

    def missing(self) -> int:
        return self.numbers[-1] + 1 - len(self.numbers)

    def ranges(self) -> Iterator[tuple[int, int]]:
        due = 0
        for number in self.numbers:
            if number > due:
                yield due, number - 1
            due = number + 1

    def distance(self, sn: int, ts: int) -> int:
        """How far in time the nearest number is."""
        at = bisect_left(self.numbers, sn)
        near = self.numbers[max(0, at - 1) : at + 1]
        return abs(self.times[min(near, key=lambda known: abs(known - sn))] - ts)

    def take(self, sn: int, ts: int) -> None:
        self.times[sn] = ts
        insort(self.numbers, sn)


class Gaps:
    """The gaps of one (sid, target): as many numbers as it is shown, which whoever reads them bounds."""

    def __init__(self) -> None:
        self._closed: list[_Run] = []
        self._live: list[_Run] = []

    @property
    def runs(self) -> list[_Run]:
        """All runs, in the order in which they began."""
        return [*self._closed, *self._live]

    @property
    def missing(self) -> int:
        """How many records are missing now."""
        return sum(run.missing() for run in self.runs)

    @property
    def restarts(self) -> int:
        """How often the player began again at 0."""
        return max(0, len(self.runs) - 1)

    def ranges(self, most: int) -> list[Range]:
        """What is missing, the first `most` stretches of it."""
        found = (Range(run, *each) for run, seen in enumerate(self.runs) for each in seen.ranges())
        return list(islice(found, most))

    def saw(self, sn: int, ts: int) -> bool:
        """Take note of a record; False if it was seen before (a resend keeps its sn and ts)."""
        if any(run.times.get(sn) == ts for run in self._live):
            return False
        lacking = [run for run in self._live if sn not in run.times]
        if not lacking:
            run = self._begin()
        else:
            run = lacking[0] if len(lacking) == 1 else min(lacking, key=lambda one: one.distance(sn, ts))
        run.take(sn, ts)
        return True

    def _begin(self) -> _Run:
        if len(self._live) == LIVE_RUNS_MAX:
            self._closed.append(self._live.pop(0))
        self._live.append(_Run())
        return self._live[-1]
