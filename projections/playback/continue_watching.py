"""Continue watching in Redis: for each profile what to resume, a row a film and one row a series (rule R1).

The rules are those of the domain's page, "Continue watching": R2 the last write wins on (corrected time, session
start, seq), R3 within a session seq orders, R4 opening a title and backing out does not lose the place, R5 when a
title is complete, R6 a completed episode offers the next, R7 a row that was hidden is gone until a play begins, R8 what
was completed once stays counted, R9 a fatal error changes nothing.

Of R7: a play begins when its session does. A session that was there before goes on moving the row and does not bring
it back. Two moments in the row decide, when it was last hidden and when the latest of its sessions began, and both
only ever grow: so it does not matter which of the events comes first.
"""

from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.playback import (
    ContinueWatchingHidden,
    PlaybackFailed,
    PlaybackSeeked,
    ProfileEvent,
    Reported,
    ReportedEvent,
    WatchHistoryRemoved,
)
from events.registry import members
from events.topics import PLAYBACK
from projections.playback.completion import Thresholds
from projections.playback.intervals import NOTHING, Intervals, length, with_interval
from projections.playback.measures import FASTEST_RATE, SLACK_MS
from projections.views import HashView, Shelf

State: TypeAlias = Literal["in_progress", "completed", "next_episode", "unwatched"]
AnyReported: TypeAlias = Reported[Any]

NEVER: Final = datetime.min.replace(tzinfo=UTC)
MOST_INTERVALS: Final = 20
"""Of what a session watched, as far as R4 needs it; the shortest are left out."""


class Playing(msgspec.Struct, frozen=True, kw_only=True):
    """How far one session has come. `watched`: what was played in it, jumps left out."""

    session_id: str
    session_started_at: datetime
    seq: int
    position_ms: int
    at: datetime
    watched: Intervals = NOTHING


class Bookmark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row: the title last watched, and how far. `next_episode` means that title_id is completed and next_title_id
    comes next; `unwatched`, that the row was hidden before anything was known of it.

    `play_count`: completions, kept when it is watched again (R8); `counted_session_id`: the session that completed
    last, which counts once. `rival`: another session that has not watched enough to take the row over (R4), or that
    had it before. `hidden`: no play began since `hidden_at`, when a viewer hid it last (R7); `begun_at`: when
    its latest session began, if that is another than the one that holds the row.
    """

    title_id: str
    kind: str
    name: str
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    position_ms: int
    duration_ms: int
    updated_at: datetime
    session_id: str
    session_started_at: datetime
    seq: int
    state: State
    next_title_id: str | None = None
    last_position_ms: int
    watched: Intervals = NOTHING
    play_count: int = 0
    counted_session_id: str | None = None
    rival: Playing | None = None
    hidden: bool = False
    hidden_at: datetime | None = None
    begun_at: datetime | None = None


class ContinueWatching(HashView[Bookmark]):
    """Takes reports, and what viewers say of a row: a session that was granted and shows no frame changes nothing."""

    name = "continue_watching"
    row = Bookmark
    topics = (PLAYBACK,)
    events = members(ReportedEvent | ProfileEvent)

    def __init__(self, thresholds: Thresholds, *, most_rows: int, ttl_s: int) -> None:
        self._thresholds = thresholds
        self.most_rows = most_rows
        self.ttl_s = ttl_s

    def updated_at(self, row: Bookmark) -> datetime:
        """When it was last watched."""
        return row.updated_at

    def key(self, recorded: Recorded[Event]) -> Shelf:
        """The profile, and the series or title (R1)."""
        event = recorded.data
        if isinstance(event, ContinueWatchingHidden | WatchHistoryRemoved):
            return Shelf(event.profile_id, event.shelf)
        assert isinstance(event, Reported)
        title = event.session.title
        return Shelf(event.session.profile_id, title.series_id or title.title_id)

    def project(self, row: Bookmark | None, recorded: Recorded[Event]) -> Bookmark | None:
        """The row after a report, or after a viewer did not want to see it."""
        event, at = recorded.data, recorded.envelope.time
        if isinstance(event, ContinueWatchingHidden):
            return _hidden(row or _unwatched(event, at), at)
        if isinstance(event, WatchHistoryRemoved):
            return _hidden(row, at) if row is not None and row.title_id == event.title_id else row
        assert isinstance(event, Reported)
        if isinstance(event, PlaybackFailed) and event.report.fatal:
            return row  # R9
        watched = row if row is None or row.state != "unwatched" else None
        return _still_hidden(row, self._reported(watched, event, at), event.session.started_at)

    def _reported(self, row: Bookmark | None, event: AnyReported, at: datetime) -> Bookmark | None:
        """The row after a report, whether or not it is hidden."""
        known = _known(row, event.session.session_id)
        if row is not None and known is not None and event.report.seq <= known.seq:
            return row  # R3
        playing = _advanced(known, event, at)
        if row is None or playing.session_id == row.session_id:
            return self._bookmark(event, playing, row)
        return self._challenged(row, event, playing)

    def _bookmark(self, event: AnyReported, playing: Playing, row: Bookmark | None) -> Bookmark | None:
        """The row as the progress of a session makes it that holds it, or takes it."""
        if self._thresholds.completes(event):
            return _completed(_in_progress(event, playing, row))
        if self._thresholds.is_resumable(event.session.title):
            return _in_progress(event, playing, row)
        return row  # R5

    def _challenged(self, row: Bookmark, event: AnyReported, playing: Playing) -> Bookmark | None:
        """The row after progress of another session than the one that holds it."""
        title = event.session.title
        if _order(playing) < _order(_in_hand(row)):
            return _with_rival(row, playing)  # R2
        taken = self._thresholds.completes(event) or self._thresholds.is_resumable(title)
        if not taken or length(playing.watched) < self._thresholds.enough_to_bookmark_ms(title):
            return _with_rival(row, playing)  # R4, R5
        return self._bookmark(event, playing, replace(row, rival=_in_hand(row)))


def _begun_at(row: Bookmark) -> datetime:
    """When the latest of its sessions began."""
    return row.session_started_at if row.begun_at is None else max(row.session_started_at, row.begun_at)


def _hidden(row: Bookmark, at: datetime) -> Bookmark:
    """R7: the row, hidden at a time, if not later."""
    if row.hidden_at is not None and at <= row.hidden_at:
        return row
    return replace(row, hidden_at=at, hidden=_begun_at(row) <= at)


def _unwatched(event: ContinueWatchingHidden, at: datetime) -> Bookmark:
    """What remembers that a row was hidden of which nothing is known: reports of before may come late."""
    return Bookmark(
        title_id=event.shelf,
        kind="",
        name="",
        position_ms=0,
        duration_ms=0,
        updated_at=at,
        session_id="",
        session_started_at=NEVER,
        seq=0,
        state="unwatched",
        last_position_ms=0,
    )


def _still_hidden(before: Bookmark | None, after: Bookmark | None, began_at: datetime) -> Bookmark | None:
    """The row after a report of a session that began at a time: no less hidden by it, and no more (R7)."""
    if before is None:
        return after
    row = after or before
    begun = max(_begun_at(before), began_at)
    begun_at = begun if begun > row.session_started_at else None
    hidden_at = before.hidden_at
    hidden = hidden_at is not None and (begun <= hidden_at or row.state == "unwatched")
    if (row.hidden_at, row.begun_at, row.hidden) == (hidden_at, begun_at, hidden):
        return row
    return replace(row, hidden=hidden, hidden_at=hidden_at, begun_at=begun_at)


def _known(row: Bookmark | None, session_id: str) -> Playing | None:
    """What the row knows of a session."""
    if row is None:
        return None
    if row.session_id == session_id:
        return _in_hand(row)
    return row.rival if row.rival is not None and row.rival.session_id == session_id else None


def _in_hand(row: Bookmark) -> Playing:
    return Playing(
        session_id=row.session_id,
        session_started_at=row.session_started_at,
        seq=row.seq,
        position_ms=row.last_position_ms,
        at=row.updated_at,
        watched=row.watched,
    )


def _order(playing: Playing) -> tuple[datetime, datetime, int]:
    return playing.at, playing.session_started_at, playing.seq


def _with_rival(row: Bookmark, playing: Playing) -> Bookmark:
    """The row, remembering how far a session has come that does not hold it; of several, the latest."""
    rival = row.rival
    if rival is not None and rival.session_id != playing.session_id and _order(playing) < _order(rival):
        return row
    return replace(row, rival=playing)


def _advanced(before: Playing | None, event: AnyReported, at: datetime) -> Playing:
    """The session's progress after a report."""
    report = event.report
    return Playing(
        session_id=event.session.session_id,
        session_started_at=event.session.started_at,
        seq=report.seq,
        position_ms=report.position_ms,
        at=at,
        watched=NOTHING if before is None else _watched(before, event, at),
    )


def _watched(before: Playing, event: AnyReported, at: datetime) -> Intervals:
    """What was watched, with what was played since the report before. A playhead that came further than players play
    has jumped.
    """
    played_to_ms = event.report.from_ms if isinstance(event, PlaybackSeeked) else event.report.position_ms
    passed_ms = round((at - before.at).total_seconds() * 1000)
    if not 0 < played_to_ms - before.position_ms <= passed_ms * FASTEST_RATE + SLACK_MS:
        return before.watched
    return with_interval(before.watched, before.position_ms, played_to_ms, most=MOST_INTERVALS)


def _in_progress(event: AnyReported, playing: Playing, row: Bookmark | None) -> Bookmark:
    title = event.session.title
    return Bookmark(
        title_id=title.title_id,
        kind=title.kind.value,
        name=title.name,
        series_id=title.series_id,
        series_name=title.series_name,
        season_number=title.season_number,
        episode_number=title.episode_number,
        position_ms=playing.position_ms,
        duration_ms=title.duration_ms,
        updated_at=playing.at,
        session_id=playing.session_id,
        session_started_at=playing.session_started_at,
        seq=playing.seq,
        state="in_progress",
        next_title_id=title.next_title_id,
        last_position_ms=playing.position_ms,
        watched=playing.watched,
        play_count=row.play_count if row else 0,
        counted_session_id=row.counted_session_id if row else None,
        rival=row.rival if row else None,
    )


def _completed(bookmark: Bookmark) -> Bookmark:
    """R6: the next episode from its beginning, or a row that clients no longer see, kept for R8."""
    first = bookmark.counted_session_id != bookmark.session_id
    return replace(
        bookmark,
        state="completed" if bookmark.next_title_id is None else "next_episode",
        position_ms=0 if bookmark.next_title_id is not None else bookmark.position_ms,
        play_count=bookmark.play_count + first,
        counted_session_id=bookmark.session_id,
    )
