"""What viewers took out of their watch history, in Cassandra: read beside it, a bucket for each of its months."""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.playback import WatchHistoryRemoved
from events.topics import PLAYBACK
from projections.times import microseconds, month_of
from projections.views import SeriesView, Stamped


class RemovedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A row, at the place of its session's in watch_history."""

    profile_id: str
    month: str
    started_at: datetime
    session_id: str
    removed_at: datetime


class RemovedFromHistory(SeriesView[RemovedSession]):
    """A session that is removed twice has one row; nothing brings it back."""

    name = "watch_history_removed"
    row = RemovedSession
    bucket = ("profile_id", "month")
    key = ("started_at", "session_id")
    topics = (PLAYBACK,)
    events = (WatchHistoryRemoved,)

    def project(self, recorded: Recorded[Event]) -> list[Stamped[RemovedSession]]:
        """The session's row."""
        event, at = recorded.data, recorded.envelope.time
        assert isinstance(event, WatchHistoryRemoved)
        row = RemovedSession(
            profile_id=event.profile_id,
            month=month_of(event.started_at),
            started_at=event.started_at,
            session_id=event.session_id,
            removed_at=at,
        )
        return [Stamped(row, microseconds(at))]
