"""How long each profile watches, in Postgres: by the hour in which sessions started, so that a household sees the days
of its own time zone. A view of playback_sessions (docs/measures.md, "Screen time").
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.title_audience import key_of
from projections.times import hour_of
from projections.views import AggregateView

MINUTE_MS: Final = 60_000
MOST_MINUTES: Final = 24 * 60
"""What one session adds at most, whatever its player says."""


class ProfileScreenTime(msgspec.Struct, frozen=True, gc=False):
    """A row. `key`: of profile and hour. `sessions`: those that showed a frame; `minutes`: in which something moved on
    the screen, ads too, each session's rounded.
    """

    key: str
    account_id: str
    profile_id: str
    hour: datetime
    sessions: int
    minutes: int


class ProfileScreenTimeByHour(AggregateView[ProfileScreenTime, PlaybackSession]):
    """Whole minutes, so that most reports change nothing here. What is taken out of the history stays counted."""

    name = "profile_screen_time_by_hour"
    row = ProfileScreenTime
    source = PlaybackSessions
    sums = ("sessions", "minutes")
    passing = "hour"

    def __init__(self, *, kept_for: timedelta | None = None) -> None:
        self.kept_for = kept_for

    def contributions(self, row: PlaybackSession) -> tuple[ProfileScreenTime, ...]:
        """Its session."""
        if not row.folded.has_shown:
            return ()
        hour = hour_of(row.started_at)
        key = key_of(row.profile_id, hour)
        return (ProfileScreenTime(key, row.account_id, row.profile_id, hour, 1, _minutes(row)),)

    def gives_the_same(self, before: PlaybackSession, after: PlaybackSession) -> bool:
        """As of five heartbeats in six: a session is always one of the same profile's, in the same hour."""
        return before.folded.has_shown == after.folded.has_shown and _minutes(before) == _minutes(after)


def _minutes(row: PlaybackSession) -> int:
    return min((row.playing_ms + row.ad_ms + MINUTE_MS // 2) // MINUTE_MS, MOST_MINUTES)
