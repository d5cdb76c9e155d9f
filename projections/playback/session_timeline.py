"""A session's timeline in Cassandra: everything that was reported in it, as it was reported, in order, and how Playhead
began and ended it. What its players said by CMCD is beside it: session_cmcd.py.
"""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.playback import (
    ClosedEvent,
    PlaybackSessionExpired,
    PlaybackSessionTerminated,
    PlaybackStarted,
    PlayedEvent,
    Reported,
    TerminatedBy,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.times import microseconds
from projections.views import SeriesView, Stamped

GRANTED_SEQ = -1  # before the first report
CLOSED_SEQ = 2**31 - 1  # after the last report, late ones too


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `report`: JSON as the player sent it, what Playhead does not know of included; of what ended the session
    from outside, why and who did it.
    """

    session_id: str
    seq: int
    event_type: str
    at: datetime
    recorded_at: datetime
    position_ms: int | None = None
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
    events = (*members(PlayedEvent), *members(ClosedEvent))

    def project(self, recorded: Recorded[Event]) -> list[Stamped[TimelineEntry]]:
        """The entry of an event."""
        event, around = recorded.data, recorded.envelope
        assert isinstance(event, PlaybackStarted | Reported | PlaybackSessionExpired | PlaybackSessionTerminated)
        seq, position_ms, report = _place_of(event, around.data)
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


class Ending(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of an end from outside."""

    reason: str
    by: TerminatedBy | None = None


def _place_of(event: Event, data: msgspec.Raw) -> tuple[int, int | None, str | None]:
    """An event's seq, position and report."""
    match event:
        case PlaybackStarted():
            return GRANTED_SEQ, event.start_position_ms, None
        case PlaybackSessionExpired():
            return CLOSED_SEQ, event.position_ms, msgspec.json.encode(Ending(event.reason)).decode()
        case PlaybackSessionTerminated():
            return CLOSED_SEQ, None, msgspec.json.encode(Ending(event.reason, event.by)).decode()
        case _:
            assert isinstance(event, Reported)
            return event.report.seq, event.report.position_ms, bytes(_kept.decode(data).report).decode()
