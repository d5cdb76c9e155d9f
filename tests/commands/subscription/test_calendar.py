"""Calendar arithmetic: anchors that never drift, leap years, and clocks that change."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.subscription.calendar import days_after, months_after
from commands.subscription.periods import new_period, next_period, shifted
from commands.subscription.plans import terms_of
from commands.subscription.policy import Policy
from commands.subscription.refusals import TimeZoneUnknown
from tests.commands.subscription.accounts import STANDARD

ZONES = ["UTC", "Asia/Seoul", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
zones = st.sampled_from(ZONES)
anchors = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def dates(anchor: datetime, months: list[int], zone: str = "UTC") -> list[str]:
    return [f"{months_after(anchor, count, zone).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for count in months]


def test_the_31st_is_the_last_day_of_shorter_months_and_comes_back() -> None:
    anchor = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert dates(anchor, [1, 2, 3, 13]) == [
        "2026-02-28 09:30",
        "2026-03-31 09:30",
        "2026-04-30 09:30",
        "2027-02-28 09:30",
    ]


def test_a_leap_day_is_the_28th_in_other_years_and_comes_back() -> None:
    anchor = datetime(2024, 2, 29, tzinfo=UTC)
    assert dates(anchor, [12, 24, 36, 48]) == [
        "2025-02-28 00:00",
        "2026-02-28 00:00",
        "2027-02-28 00:00",
        "2028-02-29 00:00",
    ]


def test_february_of_a_leap_year_has_its_29th() -> None:
    assert dates(datetime(2028, 1, 31, tzinfo=UTC), [1]) == ["2028-02-29 00:00"]


def test_the_day_is_the_subscribers_and_the_result_is_utc() -> None:
    anchor = datetime(2026, 1, 31, 15, 30, tzinfo=UTC)  # 1 February, 00:30, in Seoul
    assert months_after(anchor, 1, "Asia/Seoul") == datetime(2026, 2, 28, 15, 30, tzinfo=UTC)
    assert dates(anchor, [1], "Asia/Seoul") == ["2026-03-01 00:30"]


def test_the_local_time_stays_when_the_clocks_change() -> None:
    anchor = datetime(2026, 2, 28, 23, 0, tzinfo=UTC)  # 1 March, 00:00, in Amsterdam
    assert dates(anchor, [0, 1, 8], "Europe/Amsterdam") == ["2026-03-01 00:00", "2026-04-01 00:00", "2026-11-01 00:00"]
    assert months_after(anchor, 1, "Europe/Amsterdam") - anchor == timedelta(days=31, hours=-1)


def test_a_time_that_the_clocks_skip_is_moved_on_and_one_that_comes_twice_is_the_first() -> None:
    skipped = datetime(2026, 2, 28, 1, 30, tzinfo=UTC)  # 02:30 in Amsterdam
    assert days_after(skipped, 29, "Europe/Amsterdam") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    twice = datetime(2026, 9, 25, 0, 30, tzinfo=UTC)  # 02:30 in Amsterdam
    assert months_after(twice, 1, "Europe/Amsterdam") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(anchors, st.integers(0, 600), zones)
def test_a_boundary_has_the_anchors_day_or_the_months_last(anchor: datetime, months: int, zone: str) -> None:
    local = anchor.astimezone(ZoneInfo(zone))
    there = months_after(anchor, months, zone).astimezone(ZoneInfo(zone))
    naive = months_after(anchor, months, zone)
    assert naive.tzinfo is UTC
    last = monthrange(there.year, there.month)[1]
    skipped_day = zone == "Pacific/Apia" and (there.year, there.month) in {(2011, 12), (2012, 1)}
    assert there.day == min(local.day, last) or skipped_day or there.hour < 3  # a day's last hour may be skipped


@given(anchors, zones, st.integers(1, 60))
def test_boundaries_follow_each_other_and_do_not_drift(anchor: datetime, zone: str, count: int) -> None:
    boundaries = [months_after(anchor, months, zone) for months in range(count + 1)]
    assert boundaries == sorted(set(boundaries))
    terms, policy = terms_of(STANDARD, "EUR", "month"), Policy()
    period = new_period(1, anchor, terms, zone, policy)
    for number in range(2, count + 1):
        following = next_period(period, terms, zone, policy)
        assert (following.starts_at, following.number) == (period.ends_at, number)
        period = following
    assert period.ends_at == boundaries[count]


@given(anchors, zones)
def test_twelve_months_are_a_year(anchor: datetime, zone: str) -> None:
    month, year = terms_of(STANDARD, "EUR", "month"), terms_of(STANDARD, "EUR", "year")
    period = new_period(1, anchor, month, zone, Policy())
    for _ in range(11):
        period = next_period(period, month, zone, Policy())
    assert period.ends_at == new_period(1, anchor, year, zone, Policy()).ends_at


@given(anchors, zones, st.integers(0, 10**7))
def test_a_pause_moves_the_end_by_as_much(anchor: datetime, zone: str, seconds: int) -> None:
    terms, policy = terms_of(STANDARD, "EUR", "month"), Policy()
    period = new_period(1, anchor, terms, zone, policy)
    moved = shifted(period, timedelta(seconds=seconds), policy)
    assert moved.ends_at - period.ends_at == timedelta(seconds=seconds)
    assert next_period(moved, terms, zone, policy).starts_at == moved.ends_at


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "x" * 300, "Europe"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(TimeZoneUnknown):
        months_after(datetime(2026, 1, 1, tzinfo=UTC), 1, name)
