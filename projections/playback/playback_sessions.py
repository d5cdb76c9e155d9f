"""Playback sessions in Postgres: one row a session, right whatever order a player's reports arrive in."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.playback import (
    PlaybackBufferingEnded,
    PlaybackBufferingStarted,
    PlaybackCompleted,
    PlaybackFailed,
    PlaybackFirstFrameShown,
    PlaybackPaused,
    PlaybackProgressed,
    PlaybackResumed,
    PlaybackStarted,
    PlaybackStopped,
    PlayedEvent,
    Reported,
    SessionSnapshot,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.playback.seen import with_seq
from projections.views import KeyedView

State: TypeAlias = Literal["starting", "playing", "paused", "buffering", "ended"]
EndReason: TypeAlias = Literal["completed", "stopped", "error"]

GRANTED_SEQ = -1  # where PlaybackStarted stands among the reports, which count from 0
NOTHING_SEQ = -2

STATES: dict[type[Event], State] = {
    PlaybackStarted: "starting",
    PlaybackFirstFrameShown: "playing",
    PlaybackProgressed: "playing",
    PlaybackPaused: "paused",
    PlaybackResumed: "playing",
    PlaybackBufferingStarted: "buffering",
    PlaybackBufferingEnded: "playing",
}
"""The events that say what the player does now; the others leave it as it is."""


class PlaybackSession(msgspec.Struct, frozen=True, gc=False):
    """A row. `state_seq` and `ended_seq`: the seq that the state, and the end, were taken from."""

    session_id: str
    account_id: str
    profile_id: str
    title_id: str
    title_name: str
    title_kind: str
    series_id: str | None
    season_number: int | None
    episode_number: int | None
    device_id: str
    device_type: str
    started_at: datetime
    duration_ms: int
    last_at: datetime
    state: State = "starting"
    state_seq: int = NOTHING_SEQ
    last_seq: int = NOTHING_SEQ
    position_ms: int = 0
    event_count: int = 0
    seen: str = ""
    error_count: int = 0
    startup_ms: int | None = None
    ended_at: datetime | None = None
    ended_seq: int | None = None
    end_reason: EndReason | None = None


class PlaybackSessions(KeyedView[PlaybackSession, str]):
    """Counts each (session, seq) once; of what can change, the highest seq says how it is."""

    name = "playback_sessions"
    row = PlaybackSession
    topics = (PLAYBACK,)
    events = members(PlayedEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The session."""
        event = recorded.data
        assert isinstance(event, PlaybackStarted | Reported)
        return event.session.session_id

    def project(self, row: PlaybackSession | None, recorded: Recorded[Event]) -> PlaybackSession | None:
        """The session after one more event; the same when it was counted before."""
        event = recorded.data
        assert isinstance(event, PlaybackStarted | Reported)
        seq = GRANTED_SEQ if isinstance(event, PlaybackStarted) else event.report.seq
        before = row or _unseen(event.session, recorded.envelope.time)
        seen = with_seq(before.seen, seq)
        if seen is None:
            return row
        counted = replace(before, seen=seen, event_count=before.event_count + 1)
        if seq > counted.last_seq:
            counted = replace(counted, last_seq=seq, last_at=recorded.envelope.time, position_ms=_position_ms(event))
        return _with_outcome(_with_state(counted, event, seq), recorded, seq)


def _unseen(session: SessionSnapshot, at: datetime) -> PlaybackSession:
    """The row of a session before its first event: what every event of it says the same of."""
    title, device = session.title, session.device
    return PlaybackSession(
        session_id=session.session_id,
        account_id=session.account_id,
        profile_id=session.profile_id,
        title_id=title.title_id,
        title_name=title.name,
        title_kind=title.kind.value,
        series_id=title.series_id,
        season_number=title.season_number,
        episode_number=title.episode_number,
        device_id=device.device_id,
        device_type=device.type,
        started_at=session.started_at,
        duration_ms=title.duration_ms,
        last_at=at,
    )


def _position_ms(event: PlaybackStarted | Reported) -> int:  # type: ignore[type-arg]
    return event.start_position_ms if isinstance(event, PlaybackStarted) else event.report.position_ms


def _with_state(row: PlaybackSession, event: Event, seq: int) -> PlaybackSession:
    state = STATES.get(type(event))
    if state is None or seq < row.state_seq:
        return row
    return replace(row, state=state if row.ended_seq is None else "ended", state_seq=seq)  # never revived


def _with_outcome(row: PlaybackSession, recorded: Recorded[Event], seq: int) -> PlaybackSession:
    """What happens once in most sessions: the first frame, errors, the end."""
    at = recorded.envelope.time
    match recorded.data:
        case PlaybackFirstFrameShown(report=report) if report.startup_ms is not None:
            # Of two first frames the quicker: the later one started from a warm player.
            known = report.startup_ms if row.startup_ms is None else row.startup_ms
            return replace(row, startup_ms=min(report.startup_ms, known))
        case PlaybackFailed(report=report):
            failed = replace(row, error_count=row.error_count + 1)
            return _ended(failed, at, seq, "error") if report.fatal else failed
        case PlaybackCompleted():
            return _ended(row, at, seq, "completed")
        case PlaybackStopped():
            return _ended(row, at, seq, "stopped")
        case _:
            return row


def _ended(row: PlaybackSession, at: datetime, seq: int, reason: EndReason) -> PlaybackSession:
    """The first end, by seq, is the reason: a player that completed also stops."""
    if row.ended_seq is not None and row.ended_seq <= seq:
        return row
    return replace(row, state="ended", ended_at=at, ended_seq=seq, end_reason=reason)
