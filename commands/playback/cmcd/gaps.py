"""Counts the records that never came: gaps in `sn`, per (sid, target). Pure.

A source leaves no gap and begins at 0, so whatever is missing below the highest number was lost on its way, or is late.
Shaka begins again at 0 within a session (a new run), and records arrive in any order; `ts` tells the runs apart.
"""

from dataclasses import dataclass, field

RUN_MAX_REMEMBERED = 1_024
MAX_RUNS = 8


@dataclass
class _Run:
    times: dict[int, int] = field(default_factory=dict)  # ts of the numbers remembered
    counted: int = 0
    highest: int = -1
    floor: int = 0  # numbers below were forgotten
    floor_ts: int = 0

    def missing(self) -> int:
        return self.highest + 1 - self.counted

    def knows(self, sn: int, ts: int) -> bool:
        return self.times.get(sn) == ts or (sn < self.floor and ts <= self.floor_ts)

    def lacks(self, sn: int) -> bool:
        return sn >= self.floor and sn not in self.times

    def distance(self, sn: int, ts: int) -> int:
        nearest = min(self.times, key=lambda known: abs(known - sn))
        return abs(self.times[nearest] - ts)

    def take(self, sn: int, ts: int) -> None:
        self.times[sn] = ts
        self.counted += 1
        self.highest = max(self.highest, sn)
        while len(self.times) > RUN_MAX_REMEMBERED:
            oldest = min(self.times)
            self.floor, self.floor_ts = oldest + 1, max(self.floor_ts, self.times.pop(oldest))


class Gaps:
    """The gaps of one (sid, target). Remembers at most MAX_RUNS runs of RUN_MAX_REMEMBERED numbers each; a gap that is
    older than that stays counted even if its record comes.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._missing_before = 0
        self.restarts = 0

    @property
    def missing(self) -> int:
        """How many records are missing now; a late one takes itself off."""
        return self._missing_before + sum(run.missing() for run in self._runs)

    def saw(self, sn: int, ts: int) -> bool:
        """Take note of a record; False if it was seen before (a resend keeps its sn and ts)."""
        if any(run.knows(sn, ts) for run in self._runs):
            return False
        lacking = [run for run in self._runs if run.lacks(sn)]
        run = min(lacking, key=lambda one: one.distance(sn, ts)) if lacking else self._begin()
        run.take(sn, ts)
        return True

    def _begin(self) -> _Run:
        self.restarts += bool(self._runs)
        if len(self._runs) == MAX_RUNS:
            self._missing_before += self._runs.pop(0).missing()
        self._runs.append(_Run())
        return self._runs[-1]
