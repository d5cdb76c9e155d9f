"""How far into each title its viewers come, and where they leave, in Postgres: by the day on which sessions started. A
view of playback_sessions (docs/measures.md, "Audience").
"""

from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from projections.playback.intervals import Intervals
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.title_audience import COMPLETE_AT, is_completed, key_of
from projections.times import day_of
from projections.views import AggregateView

POINTS: Final = 100
Curve: TypeAlias = tuple[int, ...]
"""A number for each percent of a title."""


class TitleRetention(msgspec.Struct, frozen=True, gc=False):
    """A row. `retention`: how many sessions watched the middle of each percent; `drop_off`: how many were over there,
    their title not completed.
    """

    key: str
    title_id: str
    day: datetime
    starts: int
    retention: Curve
    drop_off: Curve


class TitleRetentionByDay(AggregateView[TitleRetention, PlaybackSession]):
    """Sessions that showed a frame, of titles that have an end."""

    name = "title_retention_by_day"
    row = TitleRetention
    source = PlaybackSessions
    sums = ("starts", "retention", "drop_off")

    def __init__(self, *, complete_at: float = COMPLETE_AT) -> None:
        self._complete_at = complete_at

    def contributions(self, row: PlaybackSession) -> tuple[TitleRetention, ...]:
        """Its session's curve."""
        if not row.folded.has_shown or row.duration_ms <= 0:
            return ()
        day = day_of(row.started_at)
        retention, drop_off = points_watched(row.watched, row.duration_ms), self._left_at(row)
        return (TitleRetention(key_of(row.title_id, day), row.title_id, day, 1, retention, drop_off),)

    def gives_the_same(self, before: PlaybackSession, after: PlaybackSession) -> bool:
        """Most often: a heartbeat seldom reaches another percent."""
        return (
            before.folded.has_shown
            and after.folded.has_shown
            and before.exit_reason is None
            and after.exit_reason is None
            and _says(before) == _says(after)
        )

    def _left_at(self, row: PlaybackSession) -> Curve:
        if row.exit_reason is None or is_completed(row, self._complete_at):
            return (0,) * POINTS
        return _ones(min(max(row.position_ms, 0) * POINTS // row.duration_ms, POINTS - 1), 1)


def points_watched(watched: Intervals, duration_ms: int) -> Curve:
    """1 for each percent whose middle lies in an interval; its end is outside of it."""
    points = [0] * POINTS
    for begin, end in zip(watched[::2], watched[1::2], strict=True):
        first, after = _first_from(begin, duration_ms), _first_from(end, duration_ms)
        points[first:after] = [1] * (after - first)
    return tuple(points)


def _first_from(position_ms: int, duration_ms: int) -> int:
    """The first point whose middle, (2 * point + 1) / 200 of the title, is not before a position."""
    point = -((duration_ms - 2 * POINTS * position_ms) // (2 * duration_ms))
    return min(max(point, 0), POINTS)


def _ones(place: int, count: int) -> Curve:
    return (0,) * place + (1,) * count + (0,) * (POINTS - place - count)


def _says(row: PlaybackSession) -> tuple[str, datetime, int, list[int]]:
    """What the curve of a session that is not over is made of."""
    edges = [_first_from(edge, row.duration_ms) for edge in row.watched] if row.duration_ms > 0 else []
    return row.title_id, row.started_at, row.duration_ms, edges
