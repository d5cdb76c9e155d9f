"""Quality of experience in Postgres: what sessions came to, by the minute and the hour that they started in, and by
title, device type, platform, CDN, edge, app version and country. docs/measures.md, "Quality by time", has the rules.

A session counts where its row says that it belongs now: what comes late corrects the minute in which it started, and
one that goes on from another CDN goes over to that one wholly. Downloads are left out.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from infra.log_buckets import bucket_of
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.views import AggregateView

Interval: TypeAlias = Literal["minute", "hour"]
Counted: TypeAlias = Literal["startup", "error"]

LABEL_MAX: Final = 64
"""Characters of what players say that is kept to tell sessions apart."""
MOST: Final = 2**40
"""What one session gives to a sum at most, whatever its player says: sums stay within 64 bits."""
MOST_BITS: Final = 2**46
"""kbps x ms: 20 Mbit/s for forty days."""
FLOOR: Final[Mapping[Interval, Mapping[str, int]]] = {
    "minute": {"second": 0, "microsecond": 0},
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
}

_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """What sessions are added up by. Unknown is an empty text."""

    begins_at: datetime
    title_id: str
    device_type: str
    platform: str
    cdn: str
    cdn_edge: str
    app_version: str
    country: str


class Quality(msgspec.Struct, frozen=True, gc=False):
    """A row: the sums over the sessions of a place, `key`. `plays`: those granted; `starts`: those that showed a frame;
    `startups`: those that said how long that took, `startup_ms`. `stalled_plays`: those that stalled. `bits`: the sum
    of bitrate x time (kbps x ms), over `bitrate_ms`.
    """

    key: str
    begins_at: datetime
    title_id: str
    device_type: str
    platform: str
    cdn: str
    cdn_edge: str
    app_version: str
    country: str
    plays: int = 0
    starts: int = 0
    exits_before_video: int = 0
    start_failures: int = 0
    playback_failures: int = 0
    startups: int = 0
    startup_ms: int = 0
    playing_ms: int = 0
    watched_ms: int = 0
    stalled_ms: int = 0
    stall_count: int = 0
    stalled_plays: int = 0
    bits: int = 0
    bitrate_ms: int = 0
    dropped_frames: int = 0
    error_count: int = 0


class QualityCount(msgspec.Struct, frozen=True, gc=False):
    """A row: how often something occurred in the sessions of a place. `label`: of a "startup" the bucket of its length
    (infra/log_buckets.py), of an "error" its code.
    """

    key: str
    begins_at: datetime
    title_id: str
    device_type: str
    platform: str
    cdn: str
    cdn_edge: str
    app_version: str
    country: str
    counted: Counted
    label: str
    occurrences: int


class QualityByTime(AggregateView[Quality, PlaybackSession]):
    """The sums that every report may change."""

    row = Quality
    source = PlaybackSessions
    sums = Quality.__struct_fields__[9:]

    passing = "begins_at"

    def __init__(self, interval: Interval, kept_for: timedelta | None = None) -> None:
        self.name = f"quality_by_{interval}"
        self.kept_for = kept_for
        self._floor = FLOOR[interval]

    def contributions(self, row: PlaybackSession) -> Iterable[Quality]:
        """One row, unless the session is a download's."""
        if row.offline:
            return
        measured, shown = row.folded.reports.state, row.folded.has_shown
        failed = row.exit_reason == "error" or row.fatal_error_code is not None
        place = _place(row, self._floor)
        yield Quality(
            _encode(place).decode(),
            *place,
            plays=1,
            starts=int(shown),
            exits_before_video=int(row.exited_before_video and not failed),
            start_failures=int(failed and not shown),
            playback_failures=int(failed and shown),
            startups=int(row.startup_ms is not None),
            startup_ms=row.startup_ms or 0,
            playing_ms=min(row.playing_ms, MOST),
            watched_ms=min(row.watched_ms, MOST),
            stalled_ms=min(row.stalled_ms, MOST),
            stall_count=row.stall_count,
            stalled_plays=int(row.stall_count > 0),
            bits=min(measured.bits, MOST_BITS),
            bitrate_ms=min(measured.bitrate_ms, MOST),
            dropped_frames=row.dropped_frames or 0,
            error_count=row.error_count,
        )


class QualityCounts(AggregateView[QualityCount, PlaybackSession]):
    """How long starts took and which errors there were: few reports change that."""

    row = QualityCount
    source = PlaybackSessions
    sums = ("occurrences",)
    _told_apart_by = attrgetter("startup_ms", "error_count", "offline", "territory", "cdn", "cdn_edge")

    passing = "begins_at"

    def __init__(self, interval: Interval, kept_for: timedelta | None = None) -> None:
        self.name = f"quality_counts_by_{interval}"
        self.kept_for = kept_for
        self._floor = FLOOR[interval]

    def gives_the_same(self, before: PlaybackSession, after: PlaybackSession) -> bool:
        """As nearly always: nothing is counted that was not, and it is in no other place."""
        return bool(self._told_apart_by(before) == self._told_apart_by(after))

    def contributions(self, row: PlaybackSession) -> Iterable[QualityCount]:
        """A row for the startup, and one for each code."""
        errors = row.folded.reports.state.errors
        if row.offline or (row.startup_ms is None and not errors):
            return
        place = _place(row, self._floor)
        if row.startup_ms is not None:
            yield _counted(place, "startup", str(bucket_of(row.startup_ms)), 1)
        by_label: dict[str, int] = {}
        for code, times in errors:
            by_label[code[:LABEL_MAX]] = by_label.get(code[:LABEL_MAX], 0) + times
        for label, times in by_label.items():
            yield _counted(place, "error", label, times)


def quality_views(
    minutes_kept_for: timedelta | None = None, hours_kept_for: timedelta | None = None
) -> tuple[QualityByTime | QualityCounts, ...]:
    """All of them."""
    return (
        QualityByTime("minute", minutes_kept_for),
        QualityCounts("minute", minutes_kept_for),
        QualityByTime("hour", hours_kept_for),
        QualityCounts("hour", hours_kept_for),
    )


def _counted(place: Place, counted: Counted, label: str, occurrences: int) -> QualityCount:
    return QualityCount(_encode((*place, counted, label)).decode(), *place, counted, label, occurrences)


def _place(row: PlaybackSession, floor: Mapping[str, int]) -> Place:
    return Place(
        row.started_at.astimezone(UTC).replace(**floor),  # type: ignore[arg-type]  # names of parts of a time
        row.title_id,
        row.device_type[:LABEL_MAX],
        (row.platform or "")[:LABEL_MAX],
        (row.cdn or "")[:LABEL_MAX],
        (row.cdn_edge or "")[:LABEL_MAX],
        (row.app_version or "")[:LABEL_MAX],
        row.territory or "",
    )
