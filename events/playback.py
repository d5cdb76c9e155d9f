"""Events of the playback context: what players reported. Authority: Kafka; key: the profile.

A report is kept as the player sent it, inside an event that says whose it is: every event carries the snapshot of
its session, so that no reader has to look up a title or a profile.
"""

from typing import Generic, TypeVar, get_args

import msgspec

from events.envelope import Event
from events.types import (
    AccountId,
    Count,
    DeviceId,
    Instant,
    PositionMs,
    ProfileId,
    SeriesId,
    SessionId,
    Text,
    TitleId,
    TitleKind,
)


class TitleSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the catalog said of a title when its playback started. `next_title_id`: the episode that follows, if any."""

    title_id: TitleId
    kind: TitleKind
    name: str
    duration_ms: int
    credits_start_ms: int | None = None
    series_id: SeriesId | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    next_title_id: TitleId | None = None


class DeviceSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The device that plays, as its player named it."""

    device_id: DeviceId
    type: Text
    name: Text | None = None
    platform: Text | None = None
    player: Text | None = None


class SessionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Whose playback this is: fixed when it starts, signed into the playback token, and part of every event."""

    session_id: SessionId
    account_id: AccountId
    profile_id: ProfileId
    started_at: Instant
    title: TitleSnapshot
    device: DeviceSnapshot


class Report(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    forbid_unknown_fields=False,
):
    """What every report says. `seq` counts up from 0 in a session and, with it, is the event's identity. `at` is the
    player's clock, uncorrected. `position_ms` is the playhead, from the start of the title."""

    seq: Count
    at: Instant
    position_ms: PositionMs


class Started(Report, frozen=True, tag="started"):
    """The first frame was shown. `startup_ms`: play intent to first frame."""

    startup_ms: Count | None = None


class Heartbeat(Report, frozen=True, tag="heartbeat"):
    """Still playing (every 10 s by default)."""

    bitrate_kbps: Count | None = None
    buffer_ms: Count | None = None
    dropped_frames: Count | None = None


class Paused(Report, frozen=True, tag="paused"):
    """The viewer paused."""


class Resumed(Report, frozen=True, tag="resumed"):
    """The viewer resumed."""


class Seeked(Report, frozen=True, tag="seeked"):
    """The viewer jumped; position_ms is where to."""

    from_ms: PositionMs


class BufferingStarted(Report, frozen=True, tag="buffering_started"):
    """Playback stalled for want of data."""


class BufferingEnded(Report, frozen=True, tag="buffering_ended"):
    """Playback goes on after a stall. `stalled_ms`: how long it stood, when the player measured it."""

    stalled_ms: Count | None = None


class BitrateChanged(Report, frozen=True, tag="bitrate_changed"):
    """The player plays another bitrate."""

    bitrate_kbps: Count


class QualityChanged(Report, frozen=True, tag="quality_changed"):
    """The player plays another rendition (for example "1080p")."""

    rendition: Text


class Failed(Report, frozen=True, tag="error"):
    """The player met an error. A fatal one ends its playback."""

    code: Text
    fatal: bool = False
    message: Text | None = None


class AdBreakStarted(Report, frozen=True, tag="ad_break_started"):
    """An ad break began."""


class AdBreakEnded(Report, frozen=True, tag="ad_break_ended"):
    """An ad break ended."""


class Completed(Report, frozen=True, tag="completed"):
    """The title played to its end."""


class Stopped(Report, frozen=True, tag="stopped"):
    """The viewer left. Nothing but history follows in this session."""


AnyReport = (
    Started
    | Heartbeat
    | Paused
    | Resumed
    | Seeked
    | BufferingStarted
    | BufferingEnded
    | BitrateChanged
    | QualityChanged
    | Failed
    | AdBreakStarted
    | AdBreakEnded
    | Completed
    | Stopped
)

R = TypeVar("R", bound=Report)


class Reported(Event, Generic[R], frozen=True):
    """A report with the session that it belongs to. Envelope time: `report.at` corrected for the player's clock;
    `time_adjusted` says that the correction had to be cut off."""

    session: SessionSnapshot
    report: R
    time_adjusted: bool = False


class PlaybackStarted(Event, frozen=True):
    """A session was granted; no frame was seen yet. `start_position_ms`: where the player was told to begin."""

    session: SessionSnapshot
    start_position_ms: PositionMs


class PlaybackFirstFrameShown(Reported[Started], frozen=True):
    """See Started."""


class PlaybackProgressed(Reported[Heartbeat], frozen=True):
    """See Heartbeat."""


class PlaybackPaused(Reported[Paused], frozen=True):
    """See Paused."""


class PlaybackResumed(Reported[Resumed], frozen=True):
    """See Resumed."""


class PlaybackSeeked(Reported[Seeked], frozen=True):
    """See Seeked."""


class PlaybackBufferingStarted(Reported[BufferingStarted], frozen=True):
    """See BufferingStarted."""


class PlaybackBufferingEnded(Reported[BufferingEnded], frozen=True):
    """See BufferingEnded."""


class PlaybackBitrateChanged(Reported[BitrateChanged], frozen=True):
    """See BitrateChanged."""


class PlaybackQualityChanged(Reported[QualityChanged], frozen=True):
    """See QualityChanged."""


class PlaybackFailed(Reported[Failed], frozen=True):
    """See Failed."""


class PlaybackAdBreakStarted(Reported[AdBreakStarted], frozen=True):
    """See AdBreakStarted."""


class PlaybackAdBreakEnded(Reported[AdBreakEnded], frozen=True):
    """See AdBreakEnded."""


class PlaybackCompleted(Reported[Completed], frozen=True):
    """See Completed."""


class PlaybackStopped(Reported[Stopped], frozen=True):
    """See Stopped."""


ReportedEvent = (
    PlaybackFirstFrameShown
    | PlaybackProgressed
    | PlaybackPaused
    | PlaybackResumed
    | PlaybackSeeked
    | PlaybackBufferingStarted
    | PlaybackBufferingEnded
    | PlaybackBitrateChanged
    | PlaybackQualityChanged
    | PlaybackFailed
    | PlaybackAdBreakStarted
    | PlaybackAdBreakEnded
    | PlaybackCompleted
    | PlaybackStopped
)
PlaybackEvent = PlaybackStarted | ReportedEvent

EVENT_OF: dict[type[Report], type[Event]] = {
    report: event for event in get_args(ReportedEvent) for report in get_args(event.__orig_bases__[0])
}
"""The event of each report, read off the declarations above: PlaybackPaused is Reported[Paused]."""
