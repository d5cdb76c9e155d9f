"""Watch history in Cassandra: the sessions of a profile, a bucket for each month, newest first."""

from datetime import datetime
from typing import Literal

import msgspec

from events.envelope import Event, Recorded
from events.playback import PlaybackStarted, PlayedEvent, Reported
from events.registry import members
from events.topics import PLAYBACK
from projections.playback.completion import Thresholds
from projections.times import microseconds, month_of
from projections.views import SeriesView, Stamped


class WatchedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `completed` is only ever written as true: no event takes it back."""

    profile_id: str
    month: str
    started_at: datetime
    session_id: str
    account_id: str
    title_id: str
    title_name: str
    title_kind: str
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    duration_ms: int
    device_id: str
    device_type: str
    position_ms: int
    last_at: datetime
    completed: Literal[True] | None


class WatchHistory(SeriesView[WatchedSession]):
    """Every event writes its session's whole row. The timestamp grows with seq, so the highest seq stays, in whatever
    order they come; microseconds of one session's start leave room for all of its seqs.
    """

    name = "watch_history"
    row = WatchedSession
    bucket = ("profile_id", "month")
    key = ("started_at", "session_id")
    topics = (PLAYBACK,)
    events = members(PlayedEvent)

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    def project(self, recorded: Recorded[Event]) -> list[Stamped[WatchedSession]]:
        """The session's row as this event leaves it."""
        event = recorded.data
        assert isinstance(event, PlaybackStarted | Reported)
        if isinstance(event, PlaybackStarted):
            order, position_ms = 0, event.start_position_ms
        else:
            order, position_ms = event.report.seq + 1, event.report.position_ms
        session, title = event.session, event.session.title
        row = WatchedSession(
            profile_id=session.profile_id,
            month=month_of(session.started_at),
            started_at=session.started_at,
            session_id=session.session_id,
            account_id=session.account_id,
            title_id=title.title_id,
            title_name=title.name,
            title_kind=title.kind.value,
            series_id=title.series_id,
            series_name=title.series_name,
            season_number=title.season_number,
            episode_number=title.episode_number,
            duration_ms=title.duration_ms,
            device_id=session.device.device_id,
            device_type=session.device.type,
            position_ms=position_ms,
            last_at=recorded.envelope.time,
            completed=True if self._thresholds.completes(event) else None,
        )
        return [Stamped(row, microseconds(session.started_at) + order)]
