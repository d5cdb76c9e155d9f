"""Playback sessions: what each event does to its session's row, in any order. How it is measured: test_measures.py."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events import playback as p
from events.envelope import Envelope, Event
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from tests.builders import (
    EVENING,
    device,
    episode,
    playback_expired,
    playback_started,
    playback_terminated,
    recorded,
    reported,
    session,
    watch_history_removed,
)
from tests.projections.folds import project, rows_after
from tests.projections.playback.sittings import VIEW, Told, after, events_of, told

LATER = EVENING + timedelta(hours=1)


def test_a_granted_session_is_starting_at_its_start_position() -> None:
    row = after(playback_started(start_position_ms=90_000))
    assert (row.state, row.position_ms, row.event_count, row.last_seq) == ("starting", 90_000, 1, -1)


def test_the_row_says_what_is_played_where_and_by_whom() -> None:
    tv = device(platform="tizen", os="Tizen 8", model="S90D", player="made-up", player_version="2.1", app_version="8.4")
    snapshot = session(title=episode(3, season=2, credits_start_ms=2_300_000), device=tv)
    row = after(playback_started(snapshot, territory="KR", entitled_by="subscription", limit_unchecked=True))
    assert snapshot_of(row) == snapshot
    assert (row.territory, row.entitled_by, row.limit_unchecked, row.offline) == ("KR", "subscription", True, False)
    assert after(playback_started(offline=True)).offline


def test_the_whole_snapshot_of_a_session_is_in_the_row_of_any_event() -> None:
    snapshot = session(title=episode(1))
    assert snapshot_of(after(reported(p.Heartbeat, 7, of=snapshot))) == snapshot
    assert snapshot_of(after(playback_expired(snapshot, at=LATER))) == snapshot


def snapshot_of(row: PlaybackSession) -> p.SessionSnapshot:
    """The session as its events say it."""
    title = {field: getattr(row, field, None) for field in p.TitleSnapshot.__struct_fields__}
    on = {field: getattr(row, field, None) for field in p.DeviceSnapshot.__struct_fields__}
    snapshot = {field: getattr(row, field, None) for field in p.SessionSnapshot.__struct_fields__}
    snapshot["title"] = {**title, "kind": row.title_kind, "name": row.title_name}
    snapshot["device"] = {**on, "type": row.device_type, "name": row.device_name}
    return msgspec.convert(snapshot, p.SessionSnapshot)


@pytest.mark.parametrize(
    ("report", "values", "state"),
    [
        (p.Started, {"startup_ms": 800}, "playing"),
        (p.Heartbeat, {}, "playing"),
        (p.Paused, {}, "paused"),
        (p.Resumed, {}, "playing"),
        (p.BufferingStarted, {}, "buffering"),
        (p.BufferingEnded, {"stalled_ms": 900}, "starting"),
        (p.Completed, {}, "ended"),
        (p.Stopped, {}, "ended"),
        (p.Failed, {"code": "E1", "fatal": True}, "ended"),
        (p.Seeked, {"from_ms": 0}, "starting"),
        (p.BitrateChanged, {"bitrate_kbps": 3000}, "starting"),
        (p.QualityChanged, {"rendition": "1080p"}, "starting"),
        (p.Failed, {"code": "E1"}, "starting"),
        (p.AdBreakStarted, {}, "starting"),
        (p.AdBreakEnded, {}, "starting"),
    ],
)
def test_a_report_moves_the_session_on(report: type[p.Report], values: dict[str, Any], state: str) -> None:
    row = after(playback_started(), reported(report, 4, **values))
    assert (row.state, row.position_ms, row.last_seq, row.event_count) == (state, 40_000, 4, 2)
    assert row.last_at == EVENING + timedelta(seconds=40)


def test_a_report_without_its_start_makes_the_row() -> None:
    row = after(reported(p.Heartbeat, 2))
    assert (row.session_id, row.state, row.event_count, row.started_at) == ("session-1", "starting", 1, EVENING)


def test_a_start_that_comes_late_counts_and_changes_nothing_else() -> None:
    row = after(reported(p.Paused, 2), playback_started())
    assert (row.state, row.position_ms, row.last_seq, row.event_count) == ("paused", 20_000, 2, 2)


def test_a_duplicate_leaves_the_row_as_it_is() -> None:
    row = after(playback_started(), reported(p.Heartbeat, 0))
    assert VIEW.project(row, recorded(reported(p.Heartbeat, 0))) is row


def test_an_older_report_counts_and_does_not_move_the_playhead_back() -> None:
    row = after(reported(p.Heartbeat, 5), reported(p.Paused, 3))
    assert (row.position_ms, row.state, row.event_count) == (50_000, "playing", 2)


def test_a_pause_that_comes_after_a_later_bitrate_change_still_pauses() -> None:
    row = after(reported(p.BitrateChanged, 6, bitrate_kbps=1), reported(p.Paused, 5))
    assert row.state == "paused"


def test_the_first_end_is_the_reason() -> None:
    completed, stopped = reported(p.Completed, 8), reported(p.Stopped, 9)
    for row in (after(completed, stopped), after(stopped, completed)):
        assert (row.exit_reason, row.ended_at) == ("completed", EVENING + timedelta(seconds=80))


def test_a_session_that_its_viewer_removed_stays_so_and_is_measured_on() -> None:
    removed = watch_history_removed(at=EVENING + timedelta(minutes=1))
    row = after(playback_started(), reported(p.Started, 0), removed, reported(p.Heartbeat, 1))
    assert (row.removed_at, row.last_seq) == (EVENING + timedelta(minutes=1), 1)
    assert after(watch_history_removed(at=EVENING + timedelta(minutes=2)), row=row) is row
    assert project(VIEW, [removed]) is None


def test_a_late_event_does_not_revive_an_ended_session() -> None:
    row = after(reported(p.Stopped, 4), reported(p.Heartbeat, 5))
    assert (row.state, row.event_count, row.last_seq) == ("ended", 2, 5)


# Ended from outside

WATCHED = [playback_started(), reported(p.Started, 0), reported(p.Heartbeat, 1)]


def test_a_session_expires() -> None:
    row = after(*WATCHED, playback_expired(at=LATER))
    assert (row.state, row.exit_reason, row.ended_at, row.ended_by) == ("expired", "expired", LATER, None)
    assert (row.event_count, row.position_ms, row.exited_before_video) == (3, 10_000, False)


def test_a_session_is_terminated_by_somebody() -> None:
    row = after(*WATCHED, playback_terminated(at=LATER))
    assert (row.state, row.exit_reason, row.ended_at) == ("terminated", "terminated", LATER)
    assert row.ended_by is not None
    assert row.ended_by.device_name == "Kitchen"


@pytest.mark.parametrize("closed", [playback_expired(at=LATER), playback_terminated(at=LATER)])
def test_late_reports_of_a_session_that_was_ended_are_measured_and_leave_it_ended(closed: Envelope[Event]) -> None:
    ended = after(*WATCHED, closed)
    row = after(reported(p.Heartbeat, 2), reported(p.Stopped, 3), row=ended)
    assert (row.state, row.exit_reason, row.ended_at) == (ended.state, ended.exit_reason, LATER)
    assert (row.watched_ms, row.event_count, row.position_ms, row.last_seq) == (30_000, 5, 30_000, 3)


@pytest.mark.parametrize("closed", [playback_expired(at=LATER), playback_terminated(at=LATER)])
def test_a_session_that_has_ended_is_not_ended_again(closed: Envelope[Event]) -> None:
    for ended in (reported(p.Stopped, 2), playback_expired(at=EVENING), playback_terminated(at=EVENING)):
        row = after(*WATCHED, ended)
        assert VIEW.project(row, recorded(closed)) is row


def test_a_session_that_expires_before_a_frame_showed_no_video() -> None:
    expired = after(playback_started(), playback_expired(at=LATER))
    assert expired.exited_before_video
    assert not after(reported(p.Started, 0), row=expired).exited_before_video


# Our clock


def test_the_row_says_when_we_heard_last_and_when_the_playhead_moved() -> None:
    at = [EVENING + timedelta(minutes=minute) for minute in range(5)]
    row = after(
        playback_started(),
        reported(p.Started, 0, recorded_at=at[1]),
        reported(p.Heartbeat, 1, recorded_at=at[2], position_ms=20_000),
        reported(p.Heartbeat, 2, recorded_at=at[3], position_ms=20_000),
    )
    assert (row.moved_at, row.last_recorded_at) == (at[2], at[3])
    row = after(reported(p.Heartbeat, 3, recorded_at=at[4], position_ms=19_000), row=row)
    assert row.moved_at == at[4]


def test_a_late_report_says_that_the_player_is_there_and_not_that_its_playhead_moves() -> None:
    row = after(playback_started(), reported(p.Heartbeat, 5))
    late = after(reported(p.Heartbeat, 4, recorded_at=LATER), row=row)
    assert (late.moved_at, late.last_recorded_at) == (row.moved_at, LATER)


# Order

SAID: dict[type[p.Report], dict[str, Any]] = {
    **{report: {} for report in p.EVENT_OF},
    p.BufferingEnded: {"stalled_ms": 1_700},
    p.BitrateChanged: {"bitrate_kbps": 2_500},
    p.QualityChanged: {"rendition": "720p"},
    p.Seeked: {"from_ms": 9_000},
    p.Failed: {"code": "E1"},
}


@st.composite
def sittings(draw: st.DrawFn) -> Sequence[Envelope[Event]]:
    """What any player may say, sensible or not, about once in a while."""
    at_s, position_s = 0.0, 0.0
    sitting: list[Told] = []
    for said in draw(st.lists(st.sampled_from(list(SAID)), max_size=25)):
        at_s += draw(st.sampled_from([-60.0, 0.0, 0.5, 1.0, 10.0, 10.0, 10.0, 3_600.0]))
        position_s = max(0.0, position_s + draw(st.sampled_from([-30.0, 0.0, 0.5, 1.0, 10.0, 10.0, 10.0, 600.0])))
        rate, bitrate_kbps = draw(st.sampled_from([None, None, 1.5])), draw(st.sampled_from([None, 800, 6_000]))
        sitting.append(told(said, at_s, position_s, **{"rate": rate, "bitrate_kbps": bitrate_kbps, **SAID[said]}))
    return [playback_started(), *events_of(sitting, session())]


def without_arrival(row: PlaybackSession) -> PlaybackSession:
    """The row but for what depends on when its events were recorded."""
    return replace(row, moved_at=EVENING)


@given(sittings(), st.data())
def test_any_order_with_any_duplicates_gives_the_same_row(events: list[Envelope[Event]], data: Any) -> None:
    arriving = data.draw(st.permutations([*events, *events]))
    assert without_arrival(after(*arriving)) == without_arrival(after(*events))


@given(sittings(), st.data())
def test_the_measures_are_at_any_time_those_of_what_is_known(events: list[Envelope[Event]], data: Any) -> None:
    known = data.draw(st.lists(st.sampled_from(events), unique_by=id, min_size=1))
    in_order = sorted(known, key=events.index)
    late, early = after(*known), after(*in_order)
    assert without_arrival(late) == without_arrival(early)


@given(sittings(), st.data())
def test_each_event_counts_once_even_if_its_hole_was_given_up(events: list[Envelope[Event]], data: Any) -> None:
    arriving = data.draw(st.permutations([*events, *events]))
    row = project(PlaybackSessions(reorder_window=data.draw(st.integers(0, 4))), arriving)
    assert (row.event_count, row.last_seq) == (len(events), len(events) - 2)


@given(sittings(), st.sets(st.integers(1, 25)))
async def test_any_slabs_give_what_a_replay_gives(events: list[Envelope[Event]], splits: set[int]) -> None:
    assert await rows_after(VIEW, events, splits) == {"session-1": after(*events)}


@given(sittings())
def test_a_row_that_was_stored_goes_on_as_it_was(events: list[Envelope[Event]]) -> None:
    shuffled = events[::-2] + events[::2]
    row: PlaybackSession | None = None
    for event in shuffled:
        row = after(event, row=row)
        row = msgspec.json.decode(msgspec.json.encode(row), type=PlaybackSession)
    assert row == after(*shuffled)


def test_a_hole_that_is_never_filled_is_given_up_and_measured_around() -> None:
    view = PlaybackSessions(reorder_window=3)
    row = project(view, [playback_started(), reported(p.Started, 0), *(reported(p.Heartbeat, n) for n in range(2, 8))])
    assert (row.watched_ms, row.folded.reports.waiting, row.event_count) == (70_000, (), 8)
    late = project(view, [reported(p.Stopped, 1)], row)
    assert (late.state, late.exit_reason, late.event_count) == ("playing", None, 9)
