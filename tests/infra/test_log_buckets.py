"""Percentiles told from counts in buckets, against the exact ones."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.log_buckets import BOUNDS_MS, BUCKETS, bucket_of, percentile_ms

WITHIN = st.integers(0, BOUNDS_MS[-1] - 1)


@given(durations=st.lists(WITHIN, min_size=1), share=st.floats(0.001, 1))
def test_a_percentile_is_off_by_less_than_a_tenth(durations: list[int], share: float) -> None:
    told = percentile_ms(Counter(map(bucket_of, durations)), share)
    exact = sorted(durations)[ceil(share * len(durations)) - 1]
    assert told is not None
    assert abs(told - exact) <= (exact * 0.1 + 1 if exact >= BOUNDS_MS[0] else BOUNDS_MS[0])


@given(durations=st.lists(st.integers(0, 2**31)), cut=st.integers(0, 50))
def test_counts_that_are_added_up_tell_what_all_would(durations: list[int], cut: int) -> None:
    some, others = (Counter(map(bucket_of, part)) for part in (durations[:cut], durations[cut:]))
    assert percentile_ms(some + others, 0.95) == percentile_ms(Counter(map(bucket_of, durations)), 0.95)


def test_equal_durations_lie_around_themselves() -> None:
    told = percentile_ms({bucket_of(1_000): 1_000}, 0.5)
    assert told == pytest.approx(1_000, rel=0.1)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile_ms({}, 0.5) is percentile_ms({3: 0}, 0.5) is None


def test_what_is_longer_than_any_bound_is_said_to_be_at_least_the_last() -> None:
    assert bucket_of(10**9) == BUCKETS - 1
    assert percentile_ms({BUCKETS - 1: 5}, 0.5) == BOUNDS_MS[-1]


@given(st.integers(0, 2**31))
def test_a_duration_lies_in_its_bucket(duration_ms: int) -> None:
    bucket = bucket_of(duration_ms)
    assert bucket == 0 or BOUNDS_MS[bucket - 1] <= duration_ms
    assert bucket == BUCKETS - 1 or duration_ms < BOUNDS_MS[bucket]
