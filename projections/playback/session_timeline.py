"""A session's timeline in Cassandra: everything that was reported in it, as it was reported, in order."""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.playback import PlaybackStarted, PlayedEvent, Reported
from events.registry import members
from events.topics import PLAYBACK
from projections.times import microseconds
from projections.views import SeriesView, Stamped

GRANTED_SEQ = -1  # before the first report


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `report`: JSON as the player sent it, what Playhead does not know of included."""

    session_id: str
    seq: int
    event_type: str
    at: datetime
    recorded_at: datetime
    position_ms: int
    report: str | None = None
    profile_id: str
    account_id: str
    title_id: str
    title_name: str


class _Kept(msgspec.Struct):
    """The part of an event's data that is kept as bytes."""

    report: msgspec.Raw


_kept = msgspec.json.Decoder(_Kept)


class SessionTimeline(SeriesView[TimelineEntry]):
    """A row an event; a resend is the same row."""

    name = "session_timeline"
    row = TimelineEntry
    bucket = ("session_id",)
    key = ("seq", "event_type")
    topics = (PLAYBACK,)
    events = members(PlayedEvent)

    def project(self, recorded: Recorded[Event]) -> list[Stamped[TimelineEntry]]:
        """The entry of an event."""
        event, around = recorded.data, recorded.envelope
        if isinstance(event, PlaybackStarted):
            seq, position_ms, report = GRANTED_SEQ, event.start_position_ms, None
        else:
            assert isinstance(event, Reported)
            seq, position_ms = event.report.seq, event.report.position_ms
            report = bytes(_kept.decode(around.data).report).decode()
        entry = TimelineEntry(
            session_id=event.session.session_id,
            seq=seq,
            event_type=around.type,
            at=around.time,
            recorded_at=around.recordedtime,
            position_ms=position_ms,
            report=report,
            profile_id=event.session.profile_id,
            account_id=event.session.account_id,
            title_id=event.session.title.title_id,
            title_name=event.session.title.name,
        )
        return [Stamped(entry, microseconds(around.recordedtime))]
