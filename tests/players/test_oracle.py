"""The oracle itself: what it says of a session that can be reckoned by hand, and that the rules for reports of which
some are missing come to the truth where none is."""

from datetime import timedelta
from random import Random

import pytest

from projections.playback.playback_sessions import PlaybackSessions
from tests.players.dice import clocks, throw
from tests.players.evening import TITLES, Evening
from tests.players.oracle import is_whole, summary_of, truth
from tests.players.player import Sitting
from tests.players.reading import reading
from tests.players.server import Server
from tests.players.summary import Summary


def evening(*, clock_error: timedelta = timedelta(0)) -> Evening:
    return Evening([clock_error], Server(PlaybackSessions()))


def act(on: Evening, *acts: tuple[int, str, int]) -> Sitting:
    """One device plays the film: after each time, in ms, something happens, in some way."""
    on.start(on.devices[0], TITLES[0], 0)
    sitting = on.sittings[0]
    for after_ms, name, number in acts:
        on.pass_time(after_ms)
        sitting.act(name, number)
    return sitting


def some_evening(dice: Random) -> Evening:
    one = Evening(clocks(dice), Server(PlaybackSessions()))
    for _ in range(200):
        throw(one, dice)
    return one


def told(on: Evening) -> Summary:
    (heard,) = on.server.heard.values()
    return summary_of(heard)


AT_1500_KBPS, SAYS_HOW_LONG, TO_THE_MIDDLE, BACK_10_S, DOUBLE = 22, 1, 500, 1, 4


def test_an_evening_reckoned_by_hand() -> None:
    one = evening(clock_error=timedelta(hours=-24))
    sitting = act(
        one,
        (2_000, "first frame", AT_1500_KBPS),
        (20_000, "starve", 0),
        (4_000, "feed", SAYS_HOW_LONG),
        (10_000, "pause", 0),
        (60_000, "resume", 0),
        (10_000, "seek", TO_THE_MIDDLE),
        (0, "starve", 0),
        (3_000, "feed", 0),
        (20_000, "begin an ad", 1),
        (15_000, "end an ad", 0),
        (0, "leave", 0),
    )
    assert sitting.told[-1].at_ms == 144_000
    one.deliver_all()
    assert told(one) == Summary(
        state="ended",
        exit_reason="stopped",
        ended_at=sitting.when(144_000),
        exited_before_video=False,
        event_count=1 + len(sitting.told),
        position_ms=620_000,
        last_at=sitting.when(144_000),
        watched=((0, 40_000), (600_000, 620_000)),
        watched_ms=60_000,
        completion=60_000 / 1_200_000,
        playing_ms=60_000,
        ad_ms=15_000,
        stall_count=1,
        stalled_ms=4_000,
        rebuffering_ratio=4_000 / 64_000,
        average_bitrate_kbps=1_500,
        startup_ms=2_000,
        error_count=0,
        fatal_error_code=None,
        dropped_frames=0,
    )


def test_what_did_not_arrive_is_not_known() -> None:
    one = evening()
    act(one, (1_000, "first frame", 0), (30_000, "pause", 0))
    assert (told(one).state, told(one).event_count, told(one).watched_ms) == ("starting", 1, 0)
    one.send(one.devices[0], 0, only_new=False, most=3, backwards=False)
    one.arrive(one.network.take(0, again=False), reply_lost=True)
    assert (told(one).state, told(one).event_count, told(one).watched_ms) == ("playing", 4, 9_000)


def test_what_is_watched_twice_counts_once_and_twice_as_fast_takes_half_the_time() -> None:
    one = evening()
    act(
        one,
        (0, "first frame", 0),
        (30_000, "seek", BACK_10_S),
        (0, "change the rate", DOUBLE),
        (15_000, "leave", 0),
    )
    one.deliver_all()
    assert (told(one).watched_ms, told(one).playing_ms) == (50_000, 45_000)


@pytest.mark.parametrize("seed", range(40))
def test_the_rules_come_to_the_truth_where_nothing_is_missing(seed: int) -> None:
    one = some_evening(Random(seed))
    one.deliver_all()
    whole = [heard for heard in one.server.heard.values() if is_whole(heard)]
    assert len(whole) > 1
    for heard in whole:
        assert reading(heard) == truth(heard)
