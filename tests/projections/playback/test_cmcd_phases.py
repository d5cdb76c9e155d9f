"""How a session stands by its CMCD alone."""

from datetime import timedelta

import pytest

from events import playback as p
from events.cmcd import EventToken, PlayerState
from events.envelope import Envelope, Event
from projections.playback.cmcd_phases import MOST_REMEMBERED
from projections.playback.playback_sessions import PlaybackSession
from tests.builders import (
    EVENING,
    cmcd_record,
    cmcd_reported,
    cmcd_requested,
    playback_expired,
    playback_started,
    recorded,
    reported,
)
from tests.projections.playback.sittings import VIEW, after

GRANTED = playback_started()


def now(state: str, sn: int, **keys: int) -> Envelope[Event]:
    """The player changes its state."""
    return cmcd_reported(cmcd_record(sn, e=EventToken.STATE_CHANGED, sta=PlayerState(state), **keys))


def phases(states: str) -> PlaybackSession:
    return after(GRANTED, *(now(state, sn) for sn, state in enumerate(states)))


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ("s", "starting"),
        ("sp", "playing"),
        ("spa", "paused"),
        ("spr", "buffering"),
        ("spk", "playing"),
        ("spap", "playing"),
    ],
)
def test_a_session_without_reports_is_in_the_phase_of_its_cmcd(states: str, state: str) -> None:
    row = phases(states)
    assert (row.state, row.cmcd_count, row.event_count, row.last_seq) == (state, len(states), 1, -1)
    assert row.last_recorded_at == EVENING + timedelta(seconds=10 * (len(states) - 1), milliseconds=40)


@pytest.mark.parametrize(("states", "reason"), [("spe", "completed"), ("spf", "error"), ("spq", "stopped")])
def test_it_ends_as_its_player_did_and_stays_ended(states: str, reason: str) -> None:
    for row in (phases(states), phases(f"{states}p")):
        assert (row.state, row.exit_reason, row.exited_before_video) == ("ended", reason, False)
        assert row.ended_at == EVENING + timedelta(seconds=20)


def test_a_player_that_quits_before_it_played_showed_no_video() -> None:
    assert phases("sq").exited_before_video


def test_a_state_that_comes_late_changes_nothing() -> None:
    row = after(GRANTED, now("p", 1), now("s", 0))
    assert (row.state, row.cmcd_count) == ("playing", 2)


def test_a_player_that_numbers_anew_is_followed_by_time() -> None:
    later = cmcd_record(9).ts
    assert later is not None
    assert after(GRANTED, now("s", 0), now("p", 5), now("a", 0, ts=later)).state == "paused"


def test_a_resend_counts_once() -> None:
    row = after(GRANTED, now("p", 1))
    assert VIEW.project(row, recorded(now("p", 1))) is row


def test_what_is_remembered_of_resends_is_bounded() -> None:
    row = after(*(cmcd_reported(cmcd_record(sn)) for sn in range(MOST_REMEMBERED + 9)))
    assert row.folded.cmcd is not None
    assert (row.cmcd_count, len(row.folded.cmcd.recent)) == (MOST_REMEMBERED + 9, MOST_REMEMBERED)


def test_the_playhead_moves_while_it_plays() -> None:
    playing = after(GRANTED, now("s", 0), now("p", 1), cmcd_reported(cmcd_record(2)), cmcd_requested())
    paused = after(GRANTED, now("p", 0), now("a", 1), cmcd_reported(cmcd_record(9)))
    assert playing.moved_at == EVENING + timedelta(seconds=20, milliseconds=40)
    assert paused.moved_at == EVENING + timedelta(milliseconds=40)
    assert paused.last_recorded_at > paused.moved_at


def test_a_request_counts_and_says_no_state() -> None:
    row = after(GRANTED, cmcd_requested())
    assert (row.state, row.cmcd_count) == ("starting", 1)


def test_once_the_player_reports_its_reports_say_how_the_session_stands() -> None:
    row = after(GRANTED, now("p", 0), reported(p.Paused, 0), now("a", 1), now("p", 2))
    assert (row.state, row.cmcd_count) == ("paused", 3)


def test_a_grant_that_comes_late_leaves_the_phase() -> None:
    assert after(now("p", 0), GRANTED).state == "playing"


def test_a_session_that_expired_stays_so() -> None:
    row = after(GRANTED, playback_expired(at=EVENING + timedelta(minutes=20)), now("p", 0))
    assert (row.state, row.exit_reason, row.cmcd_count) == ("expired", "expired", 1)
