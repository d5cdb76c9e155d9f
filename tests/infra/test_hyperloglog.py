"""Different ids are counted within the error that is promised, however their registers came together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.hyperloglog import NOBODY, REGISTERS, STANDARD_ERROR, estimate, merged, registers_of

IDS = st.sets(st.text(max_size=8).filter(str.isprintable), max_size=40)


def registers(ids: range, mark: str = "profile") -> bytes:
    return merged([registers_of(f"{mark}-{number}") for number in ids])


def test_nobody_is_nobody() -> None:
    assert (estimate(NOBODY), len(NOBODY)) == (0, REGISTERS)


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1_000, 10_000, 100_000])
def test_an_estimate_is_within_three_standard_errors(count: int) -> None:
    found = estimate(registers(range(count)))
    assert abs(found - count) <= max(1, 3 * STANDARD_ERROR * count)


def test_estimates_of_ten_thousand_err_as_little_as_promised() -> None:
    """Twenty different sets: the mean square of their errors."""
    errors = [estimate(registers(range(10_000), f"set-{number}")) / 10_000 - 1 for number in range(20)]
    assert (sum(error**2 for error in errors) / len(errors)) ** 0.5 < 1.5 * STANDARD_ERROR


def test_the_same_id_counts_once_in_every_process() -> None:
    assert registers_of("anna") == registers_of("anna")
    [place] = [place for place, rank in enumerate(registers_of("anna")) if rank]
    assert (place, registers_of("anna")[place]) == (1666, 3)


@given(left=IDS, right=IDS)
def test_sets_that_overlap_are_merged_to_those_of_all(left: set[str], right: set[str]) -> None:
    apart = merged([merged([*map(registers_of, left)]), merged([*map(registers_of, right)])])
    assert apart == merged([*map(registers_of, left | right)])
    assert merged([apart, apart]) == apart == merged([NOBODY, apart])


@given(ids=IDS, size=st.integers(1, 10))
def test_any_parts_merge_to_the_whole(ids: set[str], size: int) -> None:
    whole = sorted(ids)
    parts = [merged([*map(registers_of, whole[at : at + size])]) for at in range(0, len(whole), size)]
    assert merged(parts) == merged([*map(registers_of, ids)])
