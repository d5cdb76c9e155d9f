"""How many different profiles start each title, in Postgres: HyperLogLog registers by the day on which sessions
started. A view of playback_sessions (docs/measures.md, "Audience").
"""

from datetime import datetime

import msgspec

from infra.hyperloglog import registers_of
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from projections.playback.title_audience import key_of
from projections.times import day_of
from projections.views import AggregateView


class TitleProfiles(msgspec.Struct, frozen=True, gc=False):
    """A row. `registers`: of the profiles; infra/hyperloglog.py reads them."""

    key: str
    title_id: str
    day: datetime
    starts: int
    registers: bytes


class TitleProfilesByDay(AggregateView[TitleProfiles, PlaybackSession]):
    """Sessions that showed a frame. A session changes its row once, when it does."""

    name = "title_profiles_by_day"
    row = TitleProfiles
    source = PlaybackSessions
    sums = ("starts",)
    maxima = ("registers",)

    def contributions(self, row: PlaybackSession) -> tuple[TitleProfiles, ...]:
        """Its session's profile."""
        if not row.folded.has_shown:
            return ()
        day = day_of(row.started_at)
        return (TitleProfiles(key_of(row.title_id, day), row.title_id, day, 1, registers_of(row.profile_id)),)

    def gives_the_same(self, before: PlaybackSession, after: PlaybackSession) -> bool:
        """All but always: only its first frame changes what a session gives."""
        return before.folded.has_shown and after.folded.has_shown and _says(before) == _says(after)


def _says(row: PlaybackSession) -> tuple[str, datetime, str]:
    return row.title_id, row.started_at, row.profile_id
