"""How a session was watched, folded from its points in the order of their seq. docs/measures.md has the rules in words.

Time is the player's own clock, and only its differences: how wrong it goes does not matter.
"""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from projections.playback.intervals import NOTHING, Intervals, length, with_interval

Mode: TypeAlias = Literal["starting", "playing", "paused", "buffering", "ended"]
Ending: TypeAlias = Literal["completed", "stopped", "error"]
Buffering: TypeAlias = Literal["startup", "seek", "stall", "ad"]
Errors: TypeAlias = tuple[tuple[str, int], ...]
"""How many of each code."""

FASTEST_RATE: Final = 2
"""Players that do not say their rate play up to twice as fast."""
SLACK_MS: Final = 1000
"""How much further than its rate allows a playhead may come, since clocks and playheads are read one after the other;
and how far from where a seek went it may land.
"""
MOST_INTERVALS: Final = 500
"""Of one session; the shortest are left out."""
MOST_ERROR_CODES: Final = 20
"""Of one session; errors of others are counted as UNTOLD."""
UNTOLD: Final = "other"


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A moment of a session, as its measures need it. `said`: the type of its report, or "granted" for the session's
    start. `at_ms`: the player's clock, since 1970. `from_ms`: where a seek left. `time`: when it happened by our clock,
    of what may end a session.
    """

    said: str
    at_ms: int
    position_ms: int
    rate: float | None = None
    bitrate_kbps: int | None = None
    dropped_frames: int | None = None
    from_ms: int | None = None
    startup_ms: int | None = None
    stalled_ms: int | None = None
    code: str | None = None
    fatal: bool = False
    time: datetime | None = None
    cdn: str | None = None
    cdn_edge: str | None = None


class Measures(msgspec.Struct, array_like=True, gc=False):
    """A session so far; never changed once evolve() has given it.

    `mode`: what the player does. `at_ms`, `position_ms`, `rate`, `bitrate_kbps`: as last said. `since_seek_ms`: how far
    it played since a seek, until that is more than SLACK_MS. `buffering`: the kind of that which has not been said to
    end, `mode_before` what it interrupted, `this_stall_ms` how long it stood if it is a stall. `bitrate_ms`: the part
    of `playing_ms` with a known bitrate; `bits`: the sum of bitrate x time over it (kbps x ms). `errors`: how many of
    each code.
    """

    mode: Mode = "starting"
    exit_reason: Ending | None = None
    ended_at: datetime | None = None
    at_ms: int = 0
    position_ms: int | None = None
    rate: float = 1.0
    bitrate_kbps: int | None = None
    in_ad: bool = False
    first_frame: bool = False
    since_seek_ms: int | None = None
    buffering: Buffering | None = None
    mode_before: Mode = "starting"
    this_stall_ms: int = 0
    watched: Intervals = NOTHING
    watched_ms: int = 0
    playing_ms: int = 0
    ad_ms: int = 0
    stall_count: int = 0
    stalled_ms: int = 0
    bits: int = 0
    bitrate_ms: int = 0
    startup_ms: int | None = None
    dropped_frames: int | None = None
    error_count: int = 0
    fatal_error_code: str | None = None
    cdn: str | None = None
    cdn_edge: str | None = None
    errors: Errors = ()


def evolve(before: Measures, point: Point) -> Measures:
    """The measures after one more point. After the player's own end nothing is measured."""
    if before.mode == "ended":
        return before
    after = copy(before)
    left_ms = point.position_ms if point.from_ms is None else point.from_ms
    moved_ms = 0 if before.position_ms is None else left_ms - before.position_ms
    _pass(after, max(0, point.at_ms - before.at_ms), moved_ms)
    after.at_ms, after.position_ms = point.at_ms, point.position_ms
    if point.said == "heartbeat":
        if moved_ms > 0:
            _play(after)
    elif (told := TOLD.get(point.said)) is not None:
        told(after, point)
    _note_dimensions(after, point)
    return after


def _pass(now: Measures, passed_ms: int, moved_ms: int) -> None:
    """What went on since the point before, by what the player did then."""
    if now.in_ad:
        now.ad_ms += passed_ms
        return
    farthest_ms = passed_ms * max(now.rate, FASTEST_RATE) + SLACK_MS
    if now.since_seek_ms is not None and 0 < moved_ms <= farthest_ms:
        played_ms = now.since_seek_ms + moved_ms
        now.since_seek_ms = None if played_ms > SLACK_MS else played_ms
    if now.mode == "playing" and moved_ms > 0:
        _watch(now, passed_ms, moved_ms, jumped=moved_ms > farthest_ms)
    elif now.mode == "buffering" and now.buffering == "stall":
        now.stalled_ms += passed_ms
        now.this_stall_ms += passed_ms


def _watch(now: Measures, passed_ms: int, moved_ms: int, *, jumped: bool) -> None:
    playing_ms = passed_ms if moved_ms >= passed_ms * now.rate else round(moved_ms / now.rate)
    now.playing_ms += playing_ms
    if now.bitrate_kbps is not None:
        now.bits += now.bitrate_kbps * playing_ms
        now.bitrate_ms += playing_ms
    if not jumped and now.position_ms is not None:
        now.watched = with_interval(now.watched, now.position_ms, now.position_ms + moved_ms, most=MOST_INTERVALS)
        now.watched_ms = length(now.watched)


def _note_dimensions(now: Measures, point: Point) -> None:
    if point.rate is not None:
        now.rate = point.rate
    if point.bitrate_kbps is not None:
        now.bitrate_kbps = point.bitrate_kbps
    if point.dropped_frames is not None:
        now.dropped_frames = max(point.dropped_frames, now.dropped_frames or 0)
    if point.cdn is not None:
        now.cdn = point.cdn
    if point.cdn_edge is not None:
        now.cdn_edge = point.cdn_edge


def _play(now: Measures) -> None:
    now.mode = "playing"
    now.first_frame = True


def _show_first_frame(now: Measures, point: Point) -> None:
    _play(now)
    now.since_seek_ms = None
    if point.startup_ms is not None:  # of two the quicker: the later one started from a warm player
        now.startup_ms = point.startup_ms if now.startup_ms is None else min(point.startup_ms, now.startup_ms)


def _pause(now: Measures, _: Point) -> None:
    now.mode = "paused"


def _resume(now: Measures, _: Point) -> None:
    _play(now)


def _seek(now: Measures, _: Point) -> None:
    now.since_seek_ms = 0


def _begin_buffering(now: Measures, _: Point) -> None:
    now.buffering = _kind_of_buffering(now)
    now.this_stall_ms = 0
    now.stall_count += now.buffering == "stall"
    if now.mode != "buffering":
        now.mode_before = now.mode
    now.mode = "buffering"


def _kind_of_buffering(now: Measures) -> Buffering:
    """Only a stall is rebuffering: waiting for the first frame, for what was sought, or for an ad is not."""
    if now.in_ad:
        return "ad"
    if not now.first_frame:
        return "startup"
    return "stall" if now.since_seek_ms is None else "seek"


def _end_buffering(now: Measures, point: Point) -> None:
    if now.buffering is None:  # its start was lost
        now.this_stall_ms = 0
        now.buffering = _kind_of_buffering(now)
        now.stall_count += now.buffering == "stall" and point.stalled_ms is not None
    if now.buffering == "stall" and point.stalled_ms is not None:
        now.stalled_ms += point.stalled_ms - now.this_stall_ms  # the player measured it better
    now.buffering = None
    if now.mode == "buffering":
        now.mode = now.mode_before


def _begin_ad(now: Measures, _: Point) -> None:
    now.in_ad = True


def _end_ad(now: Measures, _: Point) -> None:
    now.in_ad = False


def _fail(now: Measures, point: Point) -> None:
    now.error_count += 1
    now.errors = with_error(now.errors, point.code or UNTOLD)
    if point.fatal:
        now.fatal_error_code = point.code
        _end(now, point, "error")


def with_error(errors: Errors, code: str) -> Errors:
    """The errors and one more of a code."""
    counts = dict(errors)
    if len(counts) >= MOST_ERROR_CODES and code not in counts:
        code = UNTOLD
    counts[code] = counts.get(code, 0) + 1
    return tuple(counts.items())


def _complete(now: Measures, point: Point) -> None:
    _end(now, point, "completed")


def _stop(now: Measures, point: Point) -> None:
    _end(now, point, "stopped")


def _end(now: Measures, point: Point, why: Ending) -> None:
    now.mode, now.exit_reason, now.ended_at = "ended", why, point.time


TOLD: Final[Mapping[str, Callable[[Measures, Point], None]]] = {
    "started": _show_first_frame,
    "paused": _pause,
    "resumed": _resume,
    "seeked": _seek,
    "buffering_started": _begin_buffering,
    "buffering_ended": _end_buffering,
    "ad_break_started": _begin_ad,
    "ad_break_ended": _end_ad,
    "error": _fail,
    "completed": _complete,
    "stopped": _stop,
}
"""What a report says of the player, beside a heartbeat, which says that it plays when the playhead moved. The others
say nothing.
"""
