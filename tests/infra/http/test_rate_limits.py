"""The arithmetic of windows, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.http.rate_limits import Limiter, Quota

TEN = Quota("ten", 10, 60)
WHO = (TEN, "someone")
START_S = 60.0 * 1_000_000


class Clock:
    def __init__(self, now_s: float = START_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def limiter(clock: Clock, max_keys: int = 100) -> Limiter:
    return Limiter(clock, max_keys=max_keys)


def admitted(limiter: Limiter, times: int, key: tuple[Quota, str] = WHO) -> int:
    return sum(limiter.take(key).admitted for _ in range(times))


def test_as_many_as_the_quota_are_admitted_in_a_window_and_no_more() -> None:
    assert admitted(limiter(Clock()), 25) == 10


def test_a_verdict_counts_down_and_says_when_the_window_ends() -> None:
    clock = Clock(START_S + 15)
    limits = limiter(clock)
    verdicts = [limits.take(WHO) for _ in range(3)]
    assert [(each.left, each.reset_s) for each in verdicts] == [(9, 45), (8, 45), (7, 45)]


def test_what_was_done_in_the_window_before_counts_by_what_is_left_of_it() -> None:
    clock = Clock()
    limits = limiter(clock)
    assert admitted(limits, 10) == 10
    clock.now_s += 60 + 30
    assert admitted(limits, 10) == 5
    clock.now_s += 120
    assert admitted(limits, 25) == 10


def test_others_are_not_limited_with_somebody_who_floods() -> None:
    limits = limiter(Clock())
    assert admitted(limits, 1_000) == 10
    assert admitted(limits, 10, (TEN, "someone else")) == 10
    assert admitted(limits, 10, (Quota("other", 10, 60), "someone")) == 10


def test_a_request_that_was_refused_does_not_count() -> None:
    clock = Clock()
    limits = limiter(clock)
    admitted(limits, 500)
    clock.now_s += 120
    assert admitted(limits, 10) == 10


def test_the_number_of_keys_is_bounded_and_the_least_used_are_forgotten() -> None:
    limits = limiter(Clock(), max_keys=3)
    assert admitted(limits, 10) == 10
    for number in range(50):
        limits.take((TEN, str(number)))
        assert admitted(limits, 1) == 0, "who goes on asking is not forgotten"
    assert len(limits) == 3


def test_what_others_admitted_counts_here() -> None:
    limits = limiter(Clock())
    assert admitted(limits, 4) == 4
    [(key, number, own)] = limits.untold()
    assert (key, own) == (WHO, 4)
    limits.learn(key, number, 9)
    assert admitted(limits, 10) == 1
    assert [own for _, _, own in limits.untold()] == [1]
    assert limits.untold() == []


def test_what_was_not_told_before_a_window_ended_is_told_after() -> None:
    clock = Clock()
    limits = limiter(clock)
    admitted(limits, 4)
    clock.now_s += 60
    admitted(limits, 2)
    assert sorted((number - 1_000_000, count) for _, number, count in limits.untold()) == [(0, 4), (1, 2)]


@given(
    most=st.integers(1, 20),
    window_s=st.integers(1, 100),
    gaps_s=st.lists(st.floats(0, 40, allow_nan=False), max_size=200),
)
def test_no_window_admits_more_than_its_quota_and_the_wait_is_long_enough(
    most: int, window_s: int, gaps_s: list[float]
) -> None:
    clock, key = Clock(START_S), (Quota("q", most, window_s), "w")
    limits = limiter(clock)
    in_window: dict[int, int] = {}
    for gap_s in gaps_s:
        clock.now_s += gap_s
        verdict = limits.take(key)
        if verdict.admitted:
            number = int(clock.now_s // window_s)
            in_window[number] = in_window.get(number, 0) + 1
            assert 0 <= verdict.left < most
        else:
            assert 1 <= verdict.retry_after_s <= 2 * window_s
            now_s = clock.now_s
            clock.now_s = now_s + verdict.retry_after_s
            assert limits.take(key).admitted
            number = int(clock.now_s // window_s)
            in_window[number] = in_window.get(number, 0) + 1
    assert all(count <= most for count in in_window.values())


@given(most=st.integers(1, 50), rate=st.integers(1, 20))
def test_over_a_long_time_no_more_than_the_quota_is_admitted_a_window(most: int, rate: int) -> None:
    clock, key = Clock(), (Quota("q", most, 10), "w")
    limits = limiter(clock)
    total = 0
    for _ in range(100 * rate):
        clock.now_s += 1 / rate
        total += limits.take(key).admitted
    assert total <= most * (100 / 10 + 1)


@pytest.mark.parametrize(("written", "most", "window_s"), [("600 per 60 s", 600, 60), ("1 per 1 s", 1, 1)])
def test_a_quota_is_read_as_settings_write_it(written: str, most: int, window_s: int) -> None:
    quota = Quota.of("q", written)
    assert (quota.most, quota.window_s) == (most, window_s)
