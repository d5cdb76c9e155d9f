"""Gaps in `sn`, with restarts and in any order of arrival."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commands.playback.cmcd.gaps import MAX_RUNS, RUN_MAX_REMEMBERED, Gaps
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


def test_memory_is_bounded_and_the_count_goes_on() -> None:
    gaps = Gaps()
    for run in range(3 * MAX_RUNS):
        for sn in range(0, 2 * RUN_MAX_REMEMBERED if run == 0 else 4, 2):
            gaps.saw(sn, 10_000_000 * run + sn)
    assert sum(len(run.times) for run in gaps._runs) <= MAX_RUNS * RUN_MAX_REMEMBERED
    assert len(gaps._runs) == MAX_RUNS
    assert gaps.missing == RUN_MAX_REMEMBERED - 1 + 3 * MAX_RUNS - 1


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
