"""How a session is measured: docs/measures.md, a test a rule."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from events import playback as p
from projections.playback.measures import MOST_ERROR_CODES, UNTOLD
from tests.builders import EVENING, movie, playback_started, session
from tests.projections.playback.sittings import FILM, after, events_of, summary, told, watched_s

STARTED = told(p.Started, 0, 0, startup_ms=800)


def test_what_is_played_between_two_events_is_watched() -> None:
    row = summary(STARTED, told(p.Heartbeat, 10, 10), told(p.Heartbeat, 20, 20))
    assert (watched_s(row), row.watched_ms, row.playing_ms) == ([(0, 20)], 20_000, 20_000)
    assert row.completion == 0.2


def test_a_pause_is_not_watched() -> None:
    row = summary(STARTED, told(p.Paused, 10, 10), told(p.Heartbeat, 400, 10), told(p.Resumed, 900, 10))
    assert (row.watched_ms, row.playing_ms, row.state) == (10_000, 10_000, "playing")


def test_a_seek_is_watched_up_to_where_it_left_and_from_where_it_went() -> None:
    sought = told(p.Seeked, 10, 60, from_ms=10_000)
    assert watched_s(summary(STARTED, sought, told(p.Heartbeat, 20, 70))) == [(0, 10), (60, 70)]


def test_what_is_watched_twice_counts_once_and_plays_twice() -> None:
    again = told(p.Seeked, 20, 5, from_ms=20_000)
    row = summary(STARTED, again, told(p.Heartbeat, 35, 20), told(p.Heartbeat, 40, 25))
    assert (watched_s(row), row.watched_ms, row.playing_ms) == ([(0, 25)], 25_000, 40_000)


def test_a_stall_is_not_watched() -> None:
    row = summary(STARTED, told(p.BufferingStarted, 10, 10), told(p.BufferingEnded, 14, 10), told(p.Heartbeat, 24, 20))
    assert (row.watched_ms, row.playing_ms, row.stall_count, row.stalled_ms) == (20_000, 20_000, 1, 4_000)
    assert row.rebuffering_ratio == 4_000 / 24_000


def test_a_title_played_at_another_rate_is_watched_wholly_and_plays_for_less() -> None:
    fast = told(p.Started, 0, 0, rate=3.0)
    row = summary(fast, told(p.Heartbeat, 10, 30), told(p.Heartbeat, 20, 60))
    assert (row.watched_ms, row.playing_ms) == (60_000, 20_000)


def test_a_rate_holds_from_the_event_that_says_it() -> None:
    row = summary(STARTED, told(p.Heartbeat, 10, 10, rate=0.5), told(p.Heartbeat, 30, 20))
    assert (row.watched_ms, row.playing_ms) == (20_000, 30_000)


def test_a_rate_of_next_to_nothing_plays_for_as_long_as_passed() -> None:
    row = summary(told(p.Started, 0, 0, rate=5e-324), told(p.Heartbeat, 10, 10))
    assert (row.watched_ms, row.playing_ms) == (10_000, 10_000)


@pytest.mark.parametrize(("moved_s", "watched_ms"), [(21, 21_000), (21.001, 0)])
def test_a_playhead_that_comes_further_than_players_play_has_jumped(moved_s: float, watched_ms: int) -> None:
    row = summary(STARTED, told(p.Heartbeat, 10, moved_s))
    assert (row.watched_ms, row.playing_ms) == (watched_ms, 10_000)


def test_a_playhead_that_went_back_without_a_seek_was_not_watched() -> None:
    row = summary(told(p.Started, 0, 50), told(p.Heartbeat, 10, 20), told(p.Heartbeat, 20, 30))
    assert (watched_s(row), row.playing_ms) == ([(20, 30)], 10_000)


def test_a_laptop_that_slept_did_not_play() -> None:
    night_s = 8 * 3600
    row = summary(
        STARTED, told(p.Heartbeat, 10, 10), told(p.Heartbeat, night_s, 13), told(p.Heartbeat, night_s + 10, 23)
    )
    assert (row.watched_ms, row.playing_ms) == (23_000, 23_000)


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    row = summary(STARTED, told(p.Heartbeat, 10, 10), told(p.Heartbeat, -3600, 10.5), told(p.Heartbeat, -3590, 20.5))
    assert (row.watched_ms, row.playing_ms) == (20_500, 20_000)


@pytest.mark.parametrize("skew", [timedelta(hours=-24), timedelta(hours=24), timedelta(seconds=1.5)])
def test_a_skewed_clock_does_not_matter(skew: timedelta) -> None:
    sitting = (STARTED, told(p.BufferingStarted, 10, 10), told(p.BufferingEnded, 14, 10), told(p.Stopped, 24, 20))
    row, right = after(playback_started(FILM), *events_of(sitting, skew=skew)), summary(*sitting)
    assert replace(row, folded=right.folded) == right
    assert (row.watched_ms, row.stalled_ms, row.ended_at) == (20_000, 4_000, EVENING + timedelta(seconds=24))


def test_the_watched_part_is_at_most_the_whole() -> None:
    row = summary(told(p.Started, 0, 0), told(p.Heartbeat, 60, 60), told(p.Completed, 104, 104))
    assert (row.watched_ms, row.completion) == (104_000, 1.0)


def test_a_title_without_a_length_has_no_completion() -> None:
    assert summary(STARTED, told(p.Heartbeat, 9, 9), of=session(title=movie(duration_ms=0))).completion is None


# What the player does


def test_a_heartbeat_plays_when_the_playhead_moved() -> None:
    assert summary(told(p.Heartbeat, 0, 0)).state == "starting"
    assert summary(told(p.Heartbeat, 0, 0), told(p.Heartbeat, 1, 0)).state == "starting"
    assert summary(told(p.Heartbeat, 0, 0), told(p.Heartbeat, 1, 1)).state == "playing"
    assert summary(STARTED, told(p.Paused, 1, 1), told(p.Heartbeat, 9, 1)).state == "paused"
    assert summary(STARTED, told(p.Paused, 1, 1), told(p.Heartbeat, 9, 2)).state == "playing"
    assert summary(STARTED, told(p.BufferingStarted, 1, 1), told(p.Heartbeat, 9, 2)).state == "playing"


def test_a_heartbeat_beyond_where_the_session_was_granted_plays() -> None:
    beyond = events_of([told(p.Heartbeat, 10, 30)])
    assert after(playback_started(FILM, start_position_ms=20_000), *beyond).state == "playing"
    assert after(playback_started(FILM, start_position_ms=30_000), *beyond).state == "starting"
    assert after(*beyond).state == "starting"


@pytest.mark.parametrize(
    ("before", "state"),
    [((), "starting"), ((STARTED,), "playing"), ((STARTED, told(p.Paused, 1, 1)), "paused")],
)
def test_buffering_ends_in_what_it_interrupted(before: Any, state: str) -> None:
    buffered = (told(p.BufferingStarted, 2, 1), told(p.BufferingEnded, 3, 1))
    assert summary(*before, *buffered[:1]).state == "buffering"
    assert summary(*before, *buffered).state == state


@pytest.mark.parametrize(("said", "state"), [(p.Paused, "paused"), (p.Resumed, "playing")])
def test_what_was_done_while_it_buffered_stays(said: type[p.Report], state: str) -> None:
    meanwhile = (told(p.BufferingStarted, 2, 1), told(said, 3, 1), told(p.BufferingEnded, 4, 1))
    assert summary(STARTED, *meanwhile).state == state


def test_what_the_player_does_in_a_session_is_its_state() -> None:
    for kind in (p.BitrateChanged, p.QualityChanged, p.AdBreakStarted, p.AdBreakEnded, p.Seeked, p.Failed):
        row = summary(STARTED, told(kind, 2, 1, **VALUES.get(kind, {})))
        assert row.state == "playing"


VALUES: dict[type[p.Report], dict[str, Any]] = {
    p.BitrateChanged: {"bitrate_kbps": 3_000},
    p.QualityChanged: {"rendition": "1080p"},
    p.Seeked: {"from_ms": 1_000},
    p.Failed: {"code": "E1"},
}


# Buffering


def test_buffering_before_the_first_frame_is_startup_and_no_stall() -> None:
    row = summary(told(p.BufferingStarted, 0, 0), told(p.BufferingEnded, 5, 0, stalled_ms=5_000), told(p.Started, 5, 0))
    assert (row.stall_count, row.stalled_ms, row.rebuffering_ratio) == (0, 0, None)


def test_buffering_after_a_seek_is_no_stall() -> None:
    sought = told(p.Seeked, 10, 60, from_ms=10_000)
    buffered = (told(p.BufferingStarted, 10, 60), told(p.BufferingEnded, 13, 60, stalled_ms=3_000))
    assert summary(STARTED, sought, *buffered).stall_count == 0
    again = (told(p.BufferingStarted, 13, 60), told(p.BufferingEnded, 15, 60))
    assert summary(STARTED, sought, *buffered, *again).stall_count == 0


def test_buffering_is_a_stall_again_once_it_played_on_after_a_seek() -> None:
    sought = told(p.Seeked, 10, 60, from_ms=10_000)
    played = [told(p.Heartbeat, 11 + second, 61 + second) for second in range(15)]
    stalled = (told(p.BufferingStarted, 26, 75.5), told(p.BufferingEnded, 28, 75.5))
    row = summary(STARTED, sought, *played, *stalled)
    assert (row.stall_count, row.stalled_ms) == (1, 2_000)


def test_buffering_in_an_ad_break_is_no_stall() -> None:
    in_ad = (
        told(p.AdBreakStarted, 10, 10),
        told(p.BufferingStarted, 12, 10),
        told(p.BufferingEnded, 15, 10, stalled_ms=3_000),
    )
    row = summary(STARTED, *in_ad, told(p.AdBreakEnded, 40, 10))
    assert (row.stall_count, row.stalled_ms, row.ad_ms) == (0, 0, 30_000)


def test_in_an_ad_break_nothing_else_is_measured() -> None:
    broken = (told(p.BufferingStarted, 8, 8), told(p.AdBreakStarted, 10, 8), told(p.Heartbeat, 20, 18))
    row = summary(STARTED, *broken, told(p.AdBreakEnded, 40, 18), told(p.Heartbeat, 50, 28))
    assert (row.ad_ms, row.stalled_ms, watched_s(row)) == (30_000, 2_000, [(0, 8), (18, 28)])


def test_the_player_s_own_measure_of_a_stall_replaces_ours() -> None:
    stalls = (
        told(p.BufferingStarted, 10, 10),
        told(p.BufferingEnded, 14, 10, stalled_ms=3_700),
        told(p.BufferingStarted, 20, 16),
        told(p.BufferingEnded, 21, 16),
    )
    row = summary(STARTED, *stalls)
    assert (row.stall_count, row.stalled_ms) == (2, 4_700)


def test_a_stall_whose_start_was_lost_counts_when_its_end_says_how_long_it_was() -> None:
    assert summary(STARTED, told(p.BufferingEnded, 14, 10, stalled_ms=3_700)).stalled_ms == 3_700
    assert summary(STARTED, told(p.BufferingEnded, 14, 10, stalled_ms=3_700)).stall_count == 1
    assert summary(STARTED, told(p.BufferingEnded, 14, 10)).stall_count == 0


def test_a_stall_whose_end_was_lost_goes_on_until_it_plays() -> None:
    row = summary(
        STARTED, told(p.BufferingStarted, 10, 10), told(p.Heartbeat, 14, 11), told(p.BufferingStarted, 20, 17)
    )
    assert (row.stall_count, row.stalled_ms, row.state) == (2, 4_000, "buffering")


def test_a_stall_that_was_paused_stands_still_and_is_no_second_one() -> None:
    paused = (
        told(p.BufferingStarted, 10, 10),
        told(p.Paused, 12, 10),
        told(p.BufferingEnded, 90, 10, stalled_ms=2_500),
    )
    row = summary(STARTED, *paused)
    assert (row.stall_count, row.stalled_ms, row.state) == (1, 2_500, "paused")


# Startup, bitrate, errors


def test_the_startup_time_is_the_quickest_first_frame_s() -> None:
    assert summary(STARTED, told(p.Started, 9, 9, startup_ms=0)).startup_ms == 0
    assert summary(STARTED, told(p.Started, 9, 9, startup_ms=900)).startup_ms == 800
    assert summary(told(p.Started, 9, 9)).startup_ms is None


def test_the_bitrate_is_weighted_by_playing_time() -> None:
    row = summary(
        told(p.Started, 0, 0),  # ten seconds of an unknown one
        told(p.BitrateChanged, 10, 10, bitrate_kbps=1_000),
        told(p.Heartbeat, 20, 20, bitrate_kbps=4_000),
        told(p.Paused, 50, 50),
        told(p.Resumed, 500, 50),
        told(p.BitrateChanged, 510, 60, bitrate_kbps=9_000),
    )
    assert row.average_bitrate_kbps == (1_000 * 10 + 4_000 * 40) / 50
    assert summary(STARTED, told(p.Heartbeat, 10, 10)).average_bitrate_kbps is None


def test_dropped_frames_are_the_most_that_were_said() -> None:
    row = summary(STARTED, told(p.Heartbeat, 1, 1, dropped_frames=7), told(p.Heartbeat, 2, 2, dropped_frames=3))
    assert row.dropped_frames == 7


def test_errors_are_counted_and_only_a_fatal_one_ends_the_session() -> None:
    failed = told(p.Failed, 10, 10, code="E1")
    row = summary(STARTED, failed, failed)
    assert (row.error_count, row.state, row.fatal_error_code, row.ended_at) == (2, "playing", None, None)
    row = summary(STARTED, failed, told(p.Failed, 20, 20, code="E2", fatal=True))
    assert (row.error_count, row.state, row.exit_reason, row.fatal_error_code) == (2, "ended", "error", "E2")
    assert (row.ended_at, row.watched_ms) == (EVENING + timedelta(seconds=20), 20_000)


def test_errors_are_counted_by_code_and_those_of_too_many_codes_together() -> None:
    codes = [f"E{number}" for number in range(MOST_ERROR_CODES + 2)]
    failed = [told(p.Failed, at, 0, code=code) for at, code in enumerate([*codes, "E0"], start=1)]
    errors = dict(summary(STARTED, *failed).folded.reports.state.errors)
    assert errors == {"E0": 2, **dict.fromkeys(codes[1:MOST_ERROR_CODES], 1), UNTOLD: 2}


def test_a_session_is_served_by_the_cdn_that_was_named_last() -> None:
    elsewhere = told(p.Heartbeat, 20, 20, cdn="b", cdn_edge="b-2")
    row = summary(STARTED, told(p.Heartbeat, 10, 10, cdn="a", cdn_edge="a-1"), elsewhere, told(p.Heartbeat, 30, 30))
    assert (row.cdn, row.cdn_edge) == ("b", "b-2")


@pytest.mark.parametrize("said", [p.Stopped, p.Completed])
def test_who_leaves_before_the_first_frame_saw_no_video(said: type[p.Report]) -> None:
    row = summary(told(p.BufferingStarted, 0, 0), told(said, 9, 0))
    assert (row.exited_before_video, row.startup_ms) == (True, None)
    assert not summary(told(p.BufferingStarted, 0, 0)).exited_before_video
    assert not summary(STARTED, told(said, 9, 0)).exited_before_video


def test_after_the_player_s_own_end_nothing_is_measured_and_events_are_counted() -> None:
    ended = summary(STARTED, told(p.Stopped, 10, 10))
    late = (
        told(p.Heartbeat, 20, 20, dropped_frames=5),
        told(p.Failed, 21, 21, code="E1"),
        told(p.Started, 22, 0, startup_ms=1),
    )
    row = summary(STARTED, told(p.Stopped, 10, 10), *late)
    assert (row.event_count, row.last_seq, row.state) == (ended.event_count + 3, 4, "ended")
    assert (row.watched_ms, row.dropped_frames, row.error_count, row.startup_ms) == (10_000, None, 0, 800)
