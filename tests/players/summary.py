"""What there is to know of a session, as an oracle and a row both say it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Measures:
    """What was watched and how well it played. Times in milliseconds; `watched`: positions, joined, lowest first."""

    mode: str
    watched: tuple[Interval, ...]
    playing_ms: float
    ad_ms: int
    stall_count: int
    stalled_ms: int
    bitrate_kbps: float | None
    startup_ms: int | None
    shown: bool
    error_count: int
    fatal_error_code: str | None
    dropped_frames: int | None
    ending: tuple[int, str] | None
    """The seq of the player's own end, and what it was: completed, stopped or error."""

    @property
    def watched_ms(self) -> int:
        """The length of what was watched, once each."""
        return sum(end_ms - begin_ms for begin_ms, end_ms in self.watched)


@dataclass(frozen=True, slots=True)
class Summary:
    """What clients are told of a session."""

    state: str
    exit_reason: str | None
    ended_at: datetime | None
    exited_before_video: bool
    event_count: int
    position_ms: int
    last_at: datetime
    watched: tuple[Interval, ...]
    watched_ms: int
    completion: float
    playing_ms: float
    ad_ms: int
    stall_count: int
    stalled_ms: int
    rebuffering_ratio: float | None
    average_bitrate_kbps: float | None
    startup_ms: int | None
    error_count: int
    fatal_error_code: str | None
    dropped_frames: int | None


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Intervals as the fewest that cover the same, lowest first."""
    joined: list[Interval] = []
    for begin, end in sorted(intervals):
        if end <= begin:
            continue
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def average(weighted: Iterable[tuple[float, float]]) -> float | None:
    """The mean of (value, weight); None when nothing weighs."""
    pairs = list(weighted)
    weight = sum(each for _, each in pairs)
    return sum(value * each for value, each in pairs) / weight if weight else None
