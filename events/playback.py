"""Events of the playback context: what players reported. Authority: Kafka; key: the profile.

A report is kept as the player sent it, inside an event that says whose it is: every event carries the snapshot of
its session, so that no reader has to look up a title or a profile.
"""

from typing import Annotated, Final, Generic, Literal, TypeAlias, TypeVar, get_args

import msgspec

from events.cmcd import Record, Target
from events.envelope import Event
from events.types import (
    AccountId,
    Count,
    DeviceId,
    Instant,
    PositionMs,
    ProfileId,
    SealedText,
    SeriesId,
    SessionId,
    ShelfId,
    Text,
    TitleId,
    TitleKind,
)

RATE_MAX: Final = 16
Rate = Annotated[float, msgspec.Meta(gt=0, le=RATE_MAX)]


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
    name: SealedText | None = None
    platform: Text | None = None
    os: Text | None = None
    model: Text | None = None
    player: Text | None = None
    player_version: Text | None = None
    app_version: Text | None = None


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
    player's clock, uncorrected. `position_ms` is the playhead, from the start of the title.

    The others are the dimensions that any report may carry; left out, they are as the report before said: `rate` is how
    fast the title plays (1 is normal), `dropped_frames` counts from the session's start.
    """

    seq: Count
    at: Instant
    position_ms: PositionMs
    rate: Rate | None = None
    bitrate_kbps: Count | None = None
    rendition: Text | None = None
    buffer_ms: Count | None = None
    dropped_frames: Count | None = None
    cdn: Text | None = None
    cdn_edge: Text | None = None
    drm: Text | None = None


class Started(Report, frozen=True, tag="started"):
    """The first frame was shown. `startup_ms`: play intent to first frame."""

    startup_ms: Count | None = None


class Heartbeat(Report, frozen=True, tag="heartbeat"):
    """The player is there (every 10 s by default, every second in ads); it plays when the playhead moves."""


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

EntitledBy: TypeAlias = Literal["subscription", "purchase", "free"]
"""What a playback was granted by; `free`: by a licence that asks for nothing (advertising, or free to watch)."""


class Reported(Event, Generic[R], frozen=True):
    """A report with the session that it belongs to. Envelope time: `report.at` corrected for the player's clock;
    `time_adjusted` says that the correction had to be cut off."""

    session: SessionSnapshot
    report: R
    time_adjusted: bool = False


class PlaybackStarted(Event, frozen=True, omit_defaults=True):
    """A session was granted; no frame was seen yet. `start_position_ms`: where the player was told to begin.

    `territory` (ISO 3166-1 alpha-2) and `entitled_by`: where it was granted, and by what. `limit_unchecked`: the leases
    were away, so nobody counted the account's streams. `offline`: for a download, which takes no stream.
    """

    session: SessionSnapshot
    start_position_ms: PositionMs
    territory: str | None = None
    entitled_by: EntitledBy | None = None
    limit_unchecked: bool = False
    offline: bool = False


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


class PlaybackSessionExpired(Event, frozen=True):
    """Nothing more is expected of a session. `reason`: nothing came from its player for too long ("silent"), or its
    playhead stood for too long ("standing"). What still comes is kept, and never revives it."""

    session: SessionSnapshot
    reason: Literal["silent", "standing"]
    position_ms: PositionMs


class TerminatedBy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who ended a session from elsewhere: the profile that did, and the device and title it is for, if any."""

    profile_id: ProfileId | None = None
    session_id: SessionId | None = None
    device_name: SealedText | None = None
    title_name: str | None = None


class PlaybackSessionTerminated(Event, frozen=True):
    """A session was ended from elsewhere. `reason`: another start took its place ("replaced"), somebody ended it
    ("remote"), or it was granted unchecked and there was no place for it ("over_limit")."""

    session: SessionSnapshot
    reason: Literal["replaced", "remote", "over_limit"]
    by: TerminatedBy


class Observed(Event, frozen=True):
    """What a player of another maker said about itself (CMCD), with the session that it belongs to. `target`: which of
    a player's collectors it was sent to. Envelope time: `record.ts`, or, without one that can be believed
    (`time_adjusted`), when it came.
    """

    session: SessionSnapshot
    target: Target
    record: Record
    time_adjusted: bool = False


class PlaybackCmcdReported(Observed, frozen=True):
    """A record in event mode: something happened in the player, or time passed. A resend has the same id."""


class PlaybackCmcdRequested(Observed, frozen=True):
    """A record in request mode: the player asked for an object, and said this beside."""


class ContinueWatchingHidden(Event, frozen=True):
    """A viewer took a row out of continue watching: it is gone until a play of it begins after the envelope's time.
    `shelf`: the series, or the title of no series. What was watched stays as it is.
    """

    account_id: AccountId
    profile_id: ProfileId
    shelf: ShelfId


class WatchHistoryRemoved(Event, frozen=True):
    """A viewer took a session out of their watch history. `started_at`: when it began; `title_id` and `shelf`: what was
    played in it, and the row of continue watching that it belongs to, which goes too if that title is what it shows.
    """

    account_id: AccountId
    profile_id: ProfileId
    session_id: SessionId
    started_at: Instant
    title_id: TitleId
    shelf: ShelfId


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
PlayedEvent = PlaybackStarted | ReportedEvent
"""What says where a session's playhead is."""
ClosedEvent = PlaybackSessionExpired | PlaybackSessionTerminated
"""What ends a session from outside its player."""
CmcdEvent = PlaybackCmcdReported | PlaybackCmcdRequested
"""What says how a player fares, and nothing of the playhead."""
ProfileEvent = ContinueWatchingHidden | WatchHistoryRemoved
"""What a viewer decided about what is kept of their watching; of no session."""
PlaybackEvent = PlayedEvent | ClosedEvent | CmcdEvent | ProfileEvent

EVENT_OF: dict[type[Report], type[Event]] = {
    report: event for event in get_args(ReportedEvent) for report in get_args(event.__orig_bases__[0])
}
"""The event of each report, read off the declarations above: PlaybackPaused is Reported[Paused]."""
