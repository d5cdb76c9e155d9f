"""Playback sessions: what each event does to its session's row, in any order."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from events import playback as p
from projections.playback.playback_sessions import PlaybackSession, PlaybackSessions
from tests.builders import EVENING, episode, playback_started, recorded, reported, session
from tests.projections.folds import project

VIEW = PlaybackSessions()


def after(*events: Any) -> PlaybackSession:
    row = project(VIEW, events)
    assert isinstance(row, PlaybackSession)
    return row


def test_a_granted_session_is_starting_at_its_start_position() -> None:
    row = after(playback_started(start_position_ms=90_000))
    assert (row.state, row.position_ms, row.event_count, row.last_seq) == ("starting", 90_000, 1, -1)


def test_the_row_says_what_is_played_where_and_by_whom() -> None:
    row = after(playback_started(session(title=episode(3, season=2))))
    assert (row.account_id, row.profile_id, row.device_id, row.device_type) == (
        "account-1",
        "profile-1",
        "tv-1",
        "tv",
    )
    assert (row.title_id, row.title_kind, row.series_id, row.season_number, row.episode_number) == (
        "harbour-s2e3",
        "episode",
        "harbour",
        2,
        3,
    )


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


def test_the_startup_time_is_the_first_frame_s() -> None:
    assert after(reported(p.Started, 0, startup_ms=0), reported(p.Started, 9, startup_ms=700)).startup_ms == 0


def test_errors_are_counted_and_only_a_fatal_one_ends_the_session() -> None:
    row = after(reported(p.Failed, 1, code="E1"), reported(p.Failed, 2, code="E2"), reported(p.Heartbeat, 3))
    assert (row.error_count, row.state, row.ended_at) == (2, "playing", None)
    row = after(reported(p.Failed, 1, code="E1", fatal=True))
    assert (row.error_count, row.state, row.exit_reason) == (1, "ended", "error")


def test_the_first_end_is_the_reason() -> None:
    completed, stopped = reported(p.Completed, 8), reported(p.Stopped, 9)
    for row in (after(completed, stopped), after(stopped, completed)):
        assert (row.exit_reason, row.ended_at) == ("completed", EVENING + timedelta(seconds=80))


def test_a_late_event_does_not_revive_an_ended_session() -> None:
    row = after(reported(p.Stopped, 4), reported(p.Heartbeat, 5))
    assert (row.state, row.event_count, row.last_seq) == ("ended", 2, 5)


EVENING_OF_REPORTS = [
    playback_started(),
    reported(p.Started, 0, startup_ms=640),
    reported(p.Heartbeat, 1),
    reported(p.Seeked, 2, from_ms=20_000, position_ms=300_000),
    reported(p.BufferingStarted, 3, position_ms=300_000),
    reported(p.BufferingEnded, 4, position_ms=300_000),
    reported(p.Failed, 5, code="E1", position_ms=310_000),
    reported(p.Paused, 6, position_ms=320_000),
    reported(p.QualityChanged, 7, rendition="720p", position_ms=320_000),
    reported(p.Completed, 8, position_ms=5_700_000),
    reported(p.Stopped, 9, position_ms=5_700_000),
]


@given(st.permutations(EVENING_OF_REPORTS * 2))
def test_any_order_with_any_duplicates_gives_the_same_row(events: list[Any]) -> None:
    row, in_order = after(*events), after(*EVENING_OF_REPORTS)
    assert replace(row, moved_at=EVENING) == replace(in_order, moved_at=EVENING)  # our clock's, so by arrival
