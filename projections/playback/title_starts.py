"""How often each title is started, in Postgres: by the day on which sessions started and the country that they were
started in, so that weeks are counted without their hours. A view of playback_sessions (docs/measures.md, "Audience").
"""

from datetime import datetime

import msgspec

from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.title_audience import key_of
from projections.times import day_of
from projections.views import AggregateView


class TitleStarts(msgspec.Struct, frozen=True, gc=False):
    """A row."""

    key: str
    title_id: str
    day: datetime
    territory: str | None
    starts: int


class TitleStartsByDay(AggregateView[TitleStarts, PlaybackSession]):
    """Sessions that showed a frame. A session changes its row once, when it does."""

    name = "title_starts_by_day"
    row = TitleStarts
    source = PlaybackSessions
    sums = ("starts",)

    def contributions(self, row: PlaybackSession) -> tuple[TitleStarts, ...]:
        """Its session."""
        if not row.folded.has_shown:
            return ()
        day = day_of(row.started_at)
        return (TitleStarts(key_of(row.title_id, day, row.territory), row.title_id, day, row.territory, 1),)

    def gives_the_same(self, before: PlaybackSession, after: PlaybackSession) -> bool:
        """All but always: only its first frame and its grant change what a session gives."""
        return before.folded.has_shown and after.folded.has_shown and _says(before) == _says(after)


def _says(row: PlaybackSession) -> tuple[str, datetime, str | None]:
    return row.title_id, row.started_at, row.territory
