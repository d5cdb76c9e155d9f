"""Playback sessions in Postgres: one row a session, its summary, right whatever order a player's reports arrive in.

waiting.py brings its reports into the order of their seq, measures.py says what they come to. A player that sends no
reports beside its CMCD has its state from cmcd_phases.py.
"""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.cmcd import PlayerState
from events.envelope import Envelope, Event, Recorded
from events.playback import (
    ClosedEvent,
    CmcdEvent,
    EntitledBy,
    Observed,
    PlaybackSessionExpired,
    PlaybackSessionTerminated,
    PlaybackStarted,
    PlayedEvent,
    Reported,
    SessionSnapshot,
    TerminatedBy,
    WatchHistoryRemoved,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.playback.cmcd_phases import EXITS, STATES, Heard, hear
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


CLOSING: Final = (PlaybackSessionExpired, PlaybackSessionTerminated)
OF_SESSION: Final = (Reported, PlaybackStarted, Observed, *CLOSING)


class Folded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a session's next event is folded into."""

    reports: InOrder[Measures, Point]
    cmcd: Heard | None = None

    @property
    def has_shown(self) -> bool:
        """Whether a frame was seen."""
        return self.reports.state.first_frame or (self.cmcd is not None and self.cmcd.has_played)


class PlaybackSession(msgspec.Struct, frozen=True, gc=False):
    """A row. `last_seq`: the highest, which `last_at` (corrected) and `position_ms` are of. `last_recorded_at`,
    `moved_at`: by our clock, the last event, and the last in which the playhead moved. The measures are a reading of
    `folded`. `cdn`, `cdn_edge`: as said last. `removed_at`: when its viewer took it out of their history.
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
    folded: Folded
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
    app_version: str | None = None
    cdn: str | None = None
    cdn_edge: str | None = None
    removed_at: datetime | None = None


class PlaybackSessions(KeyedView[PlaybackSession, str]):
    """Counts each (session, seq) once and folds it in its place; a session that ended stays ended."""

    name = "playback_sessions"
    row = PlaybackSession
    topics = (PLAYBACK,)
    events = (*members(PlayedEvent | ClosedEvent | CmcdEvent), WatchHistoryRemoved)

    def __init__(self, *, reorder_window: int = REORDER_WINDOW) -> None:
        self._reorder_window = reorder_window

    def key(self, recorded: Recorded[Event]) -> str:
        """The session."""
        event = recorded.data
        if isinstance(event, WatchHistoryRemoved):
            return event.session_id
        assert isinstance(event, OF_SESSION)
        return event.session.session_id

    def project(self, row: PlaybackSession | None, recorded: Recorded[Event]) -> PlaybackSession | None:
        """The session after one more event; the same when it was counted before."""
        event, around = recorded.data, recorded.envelope
        if isinstance(event, WatchHistoryRemoved):
            return row if row is None or row.removed_at is not None else replace(row, removed_at=around.time)
        assert isinstance(event, OF_SESSION)
        before = row or _unseen(event.session, around)
        if isinstance(event, CLOSING):
            return _closed(before, event, around.time)
        if isinstance(event, Observed):
            heard = hear(before.folded.cmcd or Heard(), event.record, around.id)
            return row if heard is None else _overheard(before, heard, around)
        seq, point = numbered(event, around.time)
        reports = take(before.folded.reports, seq, point, evolve, self._reorder_window)
        if reports is None:
            return row
        after = _arrived(before, reports, seq, point, around)
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
        folded=Folded(InOrder(GRANTED_SEQ, Measures())),
        app_version=device.app_version,
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
    unseen = not row.folded.has_shown
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


def _overheard(row: PlaybackSession, heard: Heard, around: Envelope[Any]) -> PlaybackSession:
    """The row with a CMCD record counted. It says how the session stands until its player reports, or it is over."""
    after = replace(
        row,
        folded=Folded(row.folded.reports, heard),
        cmcd_count=row.cmcd_count + 1,
        last_recorded_at=max(row.last_recorded_at, around.recordedtime),
    )
    if row.last_seq > GRANTED_SEQ or row.exit_reason is not None:
        return after
    if heard.phase is PlayerState.PLAYING:
        return replace(after, state="playing", moved_at=max(row.moved_at, around.recordedtime))
    after = replace(after, state=STATES.get(heard.phase, row.state))
    exit_reason = EXITS.get(heard.phase)
    if exit_reason is None:
        return after
    return replace(after, exit_reason=exit_reason, ended_at=around.time, exited_before_video=not heard.has_played)


def _arrived(
    row: PlaybackSession, reports: InOrder[Measures, Point], seq: int, point: Point, around: Envelope[Any]
) -> PlaybackSession:
    """The row with an event counted, and measured if it was folded."""
    now, folded = reports.state, Folded(reports, row.folded.cmcd)
    newest = seq > row.last_seq
    moved = newest and point.position_ms != row.position_ms
    kept = row.state in CLOSED or max(seq, row.last_seq) == GRANTED_SEQ  # before a report only CMCD says how it stands
    exit_reason = row.exit_reason if kept else now.exit_reason
    stood_ms = now.stalled_ms + now.playing_ms
    return replace(
        row,
        folded=folded,
        event_count=row.event_count + 1,
        last_seq=seq if newest else row.last_seq,
        last_at=around.time if newest else row.last_at,
        position_ms=point.position_ms if newest else row.position_ms,
        last_recorded_at=max(row.last_recorded_at, around.recordedtime),
        moved_at=max(row.moved_at, around.recordedtime) if moved else row.moved_at,
        state=row.state if kept else now.mode,
        ended_at=row.ended_at if kept else now.ended_at,
        exit_reason=exit_reason,
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
        cdn=now.cdn,
        cdn_edge=now.cdn_edge,
        exited_before_video=exit_reason is not None and not folded.has_shown,
    )
