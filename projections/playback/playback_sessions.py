"""Playback sessions in Postgres: one row a session, its summary, right whatever order a player's reports arrive in.

waiting.py brings its events into the order of their seq, measures.py says what they come to.
"""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Envelope, Event, Recorded
from events.playback import (
    ClosedEvent,
    EntitledBy,
    PlaybackSessionExpired,
    PlaybackStarted,
    PlayedEvent,
    Reported,
    SessionSnapshot,
    TerminatedBy,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.playback.intervals import NOTHING, Intervals
from projections.playback.measures import Measures, Point, evolve
from projections.playback.points import GRANTED_SEQ, numbered
from projections.playback.waiting import InOrder, take
from projections.views import KeyedView

State: TypeAlias = Literal["starting", "playing", "paused", "buffering", "ended", "expired", "terminated"]
ExitReason: TypeAlias = Literal["completed", "stopped", "error", "expired", "terminated"]

REORDER_WINDOW: Final = 200
"""Events of a session that wait for a hole before them; see settings.reorder_window_events."""
NOTHING_SEQ: Final = GRANTED_SEQ - 1
CLOSED: Final = ("expired", "terminated")


class PlaybackSession(msgspec.Struct, frozen=True, gc=False):
    """A row. `last_seq`: the highest, which `last_at` (corrected) and `position_ms` are of. `last_recorded_at`,
    `moved_at`: by our clock, the last event, and the last in which the playhead moved. `folded`: what the next event is
    folded into, of which the measures here are a reading.
    """

    session_id: str
    account_id: str
    profile_id: str
    started_at: datetime
    title_id: str
    title_name: str
    title_kind: str
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    duration_ms: int
    credits_start_ms: int | None
    next_title_id: str | None
    device_id: str
    device_type: str
    device_name: str | None
    platform: str | None
    os: str | None
    model: str | None
    player: str | None
    player_version: str | None
    last_at: datetime
    last_recorded_at: datetime
    moved_at: datetime
    folded: InOrder[Measures, Point]
    offline: bool = False
    territory: str | None = None
    entitled_by: EntitledBy | None = None
    limit_unchecked: bool = False
    state: State = "starting"
    last_seq: int = NOTHING_SEQ
    position_ms: int = 0
    event_count: int = 0
    cmcd_count: int = 0
    startup_ms: int | None = None
    watched: Intervals = NOTHING
    watched_ms: int = 0
    completion: float | None = None
    playing_ms: int = 0
    ad_ms: int = 0
    stall_count: int = 0
    stalled_ms: int = 0
    rebuffering_ratio: float | None = None
    average_bitrate_kbps: int | None = None
    dropped_frames: int | None = None
    error_count: int = 0
    fatal_error_code: str | None = None
    exited_before_video: bool = False
    ended_at: datetime | None = None
    exit_reason: ExitReason | None = None
    ended_by: TerminatedBy | None = None


class PlaybackSessions(KeyedView[PlaybackSession, str]):
    """Counts each (session, seq) once and folds it in its place; a session that ended stays ended."""

    name = "playback_sessions"
    row = PlaybackSession
    topics = (PLAYBACK,)
    events = members(PlayedEvent | ClosedEvent)

    def __init__(self, *, reorder_window: int = REORDER_WINDOW) -> None:
        self._reorder_window = reorder_window

    def key(self, recorded: Recorded[Event]) -> str:
        """The session."""
        event = recorded.data
        assert isinstance(event, PlaybackStarted | Reported | ClosedEvent)
        return event.session.session_id

    def project(self, row: PlaybackSession | None, recorded: Recorded[Event]) -> PlaybackSession | None:
        """The session after one more event; the same when it was counted before."""
        event = recorded.data
        if isinstance(event, ClosedEvent):
            return _closed(row or _unseen(event.session, recorded.envelope), event, recorded.envelope.time)
        assert isinstance(event, PlaybackStarted | Reported)
        before = row or _unseen(event.session, recorded.envelope)
        seq, point = numbered(event, recorded.envelope.time)
        folded = take(before.folded, seq, point, evolve, self._reorder_window)
        if folded is None:
            return row
        after = _arrived(before, folded, seq, point, recorded.envelope)
        return _granted(after, event) if isinstance(event, PlaybackStarted) else after


def _unseen(session: SessionSnapshot, around: Envelope[Any]) -> PlaybackSession:
    """The row of a session before its first event: what every event of it says the same of."""
    title, device = session.title, session.device
    return PlaybackSession(
        session_id=session.session_id,
        account_id=session.account_id,
        profile_id=session.profile_id,
        started_at=session.started_at,
        title_id=title.title_id,
        title_name=title.name,
        title_kind=title.kind.value,
        series_id=title.series_id,
        series_name=title.series_name,
        season_number=title.season_number,
        episode_number=title.episode_number,
        duration_ms=title.duration_ms,
        credits_start_ms=title.credits_start_ms,
        next_title_id=title.next_title_id,
        device_id=device.device_id,
        device_type=device.type,
        device_name=device.name,
        platform=device.platform,
        os=device.os,
        model=device.model,
        player=device.player,
        player_version=device.player_version,
        last_at=around.time,
        last_recorded_at=around.recordedtime,
        moved_at=around.recordedtime,
        folded=InOrder(GRANTED_SEQ, Measures()),
    )


def _granted(row: PlaybackSession, event: PlaybackStarted) -> PlaybackSession:
    """What only the grant says."""
    return replace(
        row,
        offline=event.offline,
        territory=event.territory,
        entitled_by=event.entitled_by,
        limit_unchecked=event.limit_unchecked,
    )


def _closed(row: PlaybackSession, event: ClosedEvent, at: datetime) -> PlaybackSession:
    """Ended from outside its player, unless it has ended."""
    if row.exit_reason is not None:
        return row
    unseen = not row.folded.state.first_frame
    if isinstance(event, PlaybackSessionExpired):
        return replace(row, state="expired", exit_reason="expired", ended_at=at, exited_before_video=unseen)
    return replace(
        row,
        state="terminated",
        exit_reason="terminated",
        ended_at=at,
        ended_by=event.by,
        exited_before_video=unseen,
    )


def _arrived(
    row: PlaybackSession, folded: InOrder[Measures, Point], seq: int, point: Point, around: Envelope[Any]
) -> PlaybackSession:
    """The row with an event counted, and measured if it was folded."""
    now = folded.state
    newest = seq > row.last_seq
    moved = newest and point.position_ms != row.position_ms
    closed = row.state in CLOSED
    over = closed or now.mode == "ended"
    stood_ms = now.stalled_ms + now.playing_ms
    return replace(
        row,
        folded=folded,
        event_count=row.event_count + 1,
        last_seq=seq if newest else row.last_seq,
        last_at=around.time if newest else row.last_at,
        position_ms=point.position_ms if newest else row.position_ms,
        last_recorded_at=max(row.last_recorded_at, around.recordedtime),
        moved_at=around.recordedtime if moved else row.moved_at,
        state=row.state if closed else now.mode,
        ended_at=row.ended_at if closed else now.ended_at,
        exit_reason=row.exit_reason if closed else now.exit_reason,
        startup_ms=now.startup_ms,
        watched=now.watched,
        watched_ms=now.watched_ms,
        completion=min(1.0, now.watched_ms / row.duration_ms) if row.duration_ms else None,
        playing_ms=now.playing_ms,
        ad_ms=now.ad_ms,
        stall_count=now.stall_count,
        stalled_ms=now.stalled_ms,
        rebuffering_ratio=now.stalled_ms / stood_ms if stood_ms else None,
        average_bitrate_kbps=round(now.bits / now.bitrate_ms) if now.bitrate_ms else None,
        dropped_frames=now.dropped_frames,
        error_count=now.error_count,
        fatal_error_code=now.fatal_error_code,
        exited_before_video=over and not now.first_frame,
    )
