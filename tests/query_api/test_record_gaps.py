"""Gaps in `sn`, with restarts and in any order of arrival."""

from hypothesis import given, settings
from hypothesis import strategies as st

from query_api.playback.record_gaps import LIVE_RUNS_MAX, Gaps, Range
from tests.commands.playback.cmcd.recorded import NAMES, recording, records


def gaps_of(*seen: tuple[int, int]) -> Gaps:
    gaps = Gaps()
    for sn, ts in seen:
        gaps.saw(sn, ts)
    return gaps


def test_numbers_in_a_row_leave_no_gap() -> None:
    assert gaps_of((0, 10), (1, 20), (2, 30)).missing == 0


def test_a_number_that_never_came_is_missing_until_it_comes() -> None:
    gaps = gaps_of((0, 10), (3, 40))
    assert gaps.missing == 2
    assert gaps.saw(1, 20)
    assert gaps.missing == 1


def test_the_first_numbers_count_too() -> None:
    assert gaps_of((2, 30)).missing == 2


def test_a_resend_is_told_and_changes_nothing() -> None:
    gaps = gaps_of((0, 10), (2, 30))
    assert not gaps.saw(2, 30)
    assert (gaps.missing, gaps.restarts) == (1, 0)


def test_a_restart_is_a_run_of_its_own() -> None:
    gaps = gaps_of((0, 10), (1, 20), (3, 40), (0, 50), (1, 60), (2, 70))
    assert (gaps.missing, gaps.restarts) == (1, 1)


def test_a_late_record_goes_to_the_run_of_its_time() -> None:
    first = [(sn, 1_000 * sn) for sn in range(40) if sn != 20]
    second = [(sn, 100_000 + 1_000 * sn) for sn in range(30) if sn != 20]
    gaps = gaps_of(*first, *second)
    assert gaps.missing == 2
    gaps.saw(20, 20_000)
    assert gaps.missing == 1
    assert gaps.saw(20, 120_000)
    assert (gaps.missing, gaps.restarts) == (0, 1)


def test_what_is_missing_is_named_by_its_ends() -> None:
    gaps = gaps_of((2, 20), (3, 30), (7, 70), (9, 90), (2, 200), (3, 210))
    assert gaps.ranges(9) == [Range(0, 0, 1), Range(0, 4, 6), Range(0, 8, 8), Range(1, 0, 1)]
    assert gaps.ranges(2) == [Range(0, 0, 1), Range(0, 4, 6)]


def test_a_number_beyond_all_reason_costs_nothing() -> None:
    gaps = gaps_of((0, 10), (10**15 - 1, 20))
    assert gaps.missing == 10**15 - 2
    assert gaps.ranges(9) == [Range(0, 1, 10**15 - 2)]


def test_the_runs_that_are_looked_through_are_bounded_and_the_count_goes_on() -> None:
    gaps = gaps_of(*((sn, 10_000_000 * run + sn) for run in range(3 * LIVE_RUNS_MAX) for sn in (0, 2)))
    assert (gaps.missing, gaps.restarts) == (3 * LIVE_RUNS_MAX, 3 * LIVE_RUNS_MAX - 1)


def test_recorded_sessions_lost_nothing() -> None:
    for name in NAMES:
        seen = [(r.sn, r.ts) for r in records(recording(name)) if r.sn is not None and r.ts is not None]
        gaps = gaps_of(*seen)
        assert (gaps.missing, gaps.restarts) == (0, 0), name


@settings(max_examples=200, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_any_order_of_arrival_counts_what_was_lost(data: st.DataObject, sent: int) -> None:
    kept = data.draw(st.sets(st.integers(0, sent - 1), min_size=1))
    order = data.draw(st.permutations(sorted(kept)))
    resent = data.draw(st.lists(st.sampled_from(order), max_size=5))
    gaps = gaps_of(*((sn, 7 * sn) for sn in [*order, *resent]))
    assert (gaps.missing, gaps.restarts) == (max(kept) + 1 - len(kept), 0)
