"""How much each title is watched, in Postgres: by the hour in which sessions started and the country that they were
started in. A view of playback_sessions, which a late report changes where it belongs (docs/measures.md, "Audience").
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.times import hour_of
from projections.views import AggregateView

COMPLETE_AT: Final = 0.9
"""See settings.complete_at_ratio."""
MOST_MS: Final = 2**40
"""What one session adds at most, whatever its player says: sums stay within 64 bits."""


class TitleAudience(msgspec.Struct, frozen=True, gc=False):
    """A row. `key`: of title, hour and country. `plays`: sessions that were granted; `starts`: those that showed a
    frame; `completions`: those of them that were watched to the end. `territory`: None while no grant says it.
    """

    key: str
    title_id: str
    hour: datetime
    territory: str | None
    plays: int
    starts: int
    watched_ms: int
    completions: int


class TitleAudienceByHour(AggregateView[TitleAudience, PlaybackSession]):
    """Every session counts in the hour of its started_at, UTC, however long it lasts."""

    name = "title_audience_by_hour"
    row = TitleAudience
    source = PlaybackSessions
    sums = ("plays", "starts", "watched_ms", "completions")

    passing = "hour"

    def __init__(self, *, complete_at: float = COMPLETE_AT, kept_for: timedelta | None = None) -> None:
        self._complete_at = complete_at
        self.kept_for = kept_for

    def contributions(self, row: PlaybackSession) -> tuple[TitleAudience]:
        """Its session."""
        hour, started = hour_of(row.started_at), row.folded.has_shown
        return (
            TitleAudience(
                key=key_of(row.title_id, hour, row.territory),
                title_id=row.title_id,
                hour=hour,
                territory=row.territory,
                plays=1,
                starts=int(started),
                watched_ms=min(row.watched_ms, MOST_MS),
                completions=int(started and is_completed(row, self._complete_at)),
            ),
        )


def is_completed(row: PlaybackSession, complete_at: float) -> bool:
    """Whether a session watched its title to the end: nearly all of it, or its player says so."""
    return row.exit_reason == "completed" or (row.completion or 0) >= complete_at


def key_of(*parts: str | datetime | None) -> str:
    """A key that no other parts make."""
    return msgspec.json.encode(parts).decode()
