"""What a report says to its lease, whatever order its events came in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.playback.leases.progress import NOTHING, Motion, progress_of, runs_of
from events.playback import AnyReport, BufferingEnded, Completed, Heartbeat, Paused, Resumed, Seeked, Started
from tests.builders import report


def test_nothing_was_reported() -> None:
    assert progress_of([]) == NOTHING


def test_one_heartbeat_leaves_it_to_where_the_playhead_was_before() -> None:
    assert progress_of([report(Heartbeat, 3)]) == (Motion.UNSAID, 3, 30_000, 30_000, [3, 1])


@pytest.mark.parametrize(
    ("reports", "motion"),
    [
        ([report(Heartbeat, 0), report(Heartbeat, 1)], Motion.PLAYS),
        ([report(Heartbeat, 0, position_ms=9), report(Heartbeat, 1, position_ms=9)], Motion.UNSAID),
        ([report(Started, 0)], Motion.PLAYS),
        ([report(Paused, 0), report(Completed, 1)], Motion.PAUSED),
        ([report(Paused, 0), report(Resumed, 1)], Motion.PLAYS),
        ([report(Resumed, 0), report(Paused, 1)], Motion.PAUSED),
        (
            [
                report(Paused, 0),
                report(Seeked, 1, from_ms=0, position_ms=90_000),
                report(Heartbeat, 2, position_ms=90_000),
            ],
            Motion.PAUSED,
        ),
        (
            [
                report(Paused, 0),
                report(Seeked, 1, from_ms=0, position_ms=90_000),
                report(Heartbeat, 2, position_ms=90_500),
            ],
            Motion.PLAYS,
        ),
        ([report(BufferingEnded, 0)], Motion.UNSAID),
    ],
)
def test_the_last_event_that_tells_says_whether_it_plays(reports: list[AnyReport], motion: Motion) -> None:
    for order in permutations(reports):
        assert progress_of(order).motion is motion


def test_only_a_heartbeat_that_opens_a_report_is_compared_with_the_playhead_before() -> None:
    jumped = progress_of([report(Seeked, 4, from_ms=0, position_ms=90_000)])
    assert (jumped.opening_ms, jumped.closing_ms) == (-1, 90_000)


@given(st.lists(st.integers(0, 50)))
def test_runs_hold_the_seqs_in_their_order(seqs: list[int]) -> None:
    runs = runs_of(seqs)
    pairs = zip(runs[::2], runs[1::2], strict=True)
    assert [seq for first, count in pairs for seq in range(first, first + count)] == seqs


def test_seqs_that_follow_each_other_are_one_run() -> None:
    assert runs_of([4, 5, 6, 9, 9]) == [4, 3, 9, 1, 9, 1]
