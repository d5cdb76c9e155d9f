"""Who watched a title in which minute, in Cassandra: a session is a viewer of each minute in which its player reported
that it is there. Counted when it is read: nothing is added up here, so a report that comes twice, late or in any order
changes no count wrongly.
"""

from datetime import datetime
from typing import Any, Final
from zlib import crc32

import msgspec

from events.cmcd import PlayerState
from events.envelope import Event, Recorded
from events.playback import (
    CmcdEvent,
    Observed,
    PlaybackCompleted,
    PlaybackFailed,
    PlaybackStopped,
    Reported,
    ReportedEvent,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.times import microseconds, minute_of
from projections.views import SeriesView, Stamped

SHARDS: Final = 16
"""Of the sessions of a title; query_api/playback/viewers.py reads as many. Rows that are there keep theirs."""
EARLIEST_YEAR: Final = 1970
LEAVING: Final = (PlaybackCompleted, PlaybackStopped)
NOT_THERE: Final = (PlayerState.ENDED, PlayerState.FATAL, PlayerState.QUIT, PlayerState.PRELOADING)


class TitleViewer(msgspec.Struct, frozen=True, gc=False):
    """A row. `hour`, `minute`: when they begin, UTC, by the event's corrected time."""

    title_id: str
    hour: datetime
    shard: int
    minute: datetime
    session_id: str


class TitleViewers(SeriesView[TitleViewer]):
    """A row a session and minute; all of its reports in that minute are the same row."""

    name = "title_viewers"
    row = TitleViewer
    bucket = ("title_id", "hour", "shard")
    key = ("minute", "session_id")
    topics = (PLAYBACK,)
    events = tuple(event for event in members(ReportedEvent | CmcdEvent) if event not in LEAVING)

    def project(self, recorded: Recorded[Event]) -> list[Stamped[TitleViewer]]:
        """The minute of what a player said, unless that is that it is gone, or its clock was never set."""
        event, at = recorded.data, recorded.envelope.time
        assert isinstance(event, Reported | Observed)
        if _is_gone(event) or at.year < EARLIEST_YEAR:
            return []
        session_id = event.session.session_id
        minute = minute_of(at)
        hour, shard = minute.replace(minute=0), shard_of(session_id)
        row = TitleViewer(event.session.title.title_id, hour, shard, minute, session_id)
        return [Stamped(row, microseconds(minute))]  # the same for all: of two that meet, one write is left


def _is_gone(event: Reported[Any] | Observed) -> bool:
    if isinstance(event, Observed):
        return event.record.sta in NOT_THERE
    return isinstance(event, PlaybackFailed) and event.report.fatal


def shard_of(session_id: str) -> int:
    """The shard of a session."""
    return crc32(session_id.encode()) % SHARDS
