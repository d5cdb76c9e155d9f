"""The ranges of seq that a session's row counted."""

from hypothesis import given
from hypothesis import strategies as st

from projections.playback.seen import MOST_RANGES, with_seq


def test_reports_in_order_are_one_range() -> None:
    seen = ""
    for seq in range(-1, 4):
        seen = with_seq(seen, seq) or seen
    assert seen == "-1..3"


def test_a_hole_is_filled_by_a_late_report() -> None:
    assert with_seq("-1..3,5", 4) == "-1..5"


def test_a_duplicate_is_recognised_wherever_it_lies() -> None:
    assert [with_seq("-1..3,5", seq) for seq in (-1, 2, 3, 5)] == [None] * 4


def test_a_late_first_event_joins_the_front() -> None:
    assert with_seq("0..3", -1) == "-1..3"


def test_the_number_of_ranges_is_bounded() -> None:
    seen = ""
    for seq in range(0, 4 * MOST_RANGES, 2):
        seen = with_seq(seen, seq) or seen
    assert seen.count(",") + 1 == MOST_RANGES


@given(st.lists(st.integers(-1, 60)))
def test_each_seq_counts_once_in_any_order(seqs: list[int]) -> None:
    seen, counted = "", 0
    for seq in seqs:
        after = with_seq(seen, seq)
        counted, seen = (counted, seen) if after is None else (counted + 1, after)
    assert counted == len(set(seqs))
    assert all(with_seq(seen, seq) is None for seq in seqs)
