"""The intervals of a question about quality, across changes of the clock."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.playback.quality_range import HOUR, Interval, Range, intervals

AMSTERDAM, KOLKATA, SANTIAGO = (ZoneInfo(name) for name in ("Europe/Amsterdam", "Asia/Kolkata", "America/Santiago"))


def first(count: int, interval: Interval, zone: ZoneInfo, since: datetime) -> list[datetime]:
    return list(islice(intervals(interval, zone, since), count))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_a_day_begins_at_midnight_where_it_is_asked_about() -> None:
    days = first(3, Interval.DAY, AMSTERDAM, utc("2026-07-01T12:34:56+00:00"))
    assert days == [utc(f"2026-07-0{day}T00:00:00+02:00") for day in (1, 2, 3)]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_the_day_that_the_clock_changes_is_shorter_or_longer(day: str, hours: int) -> None:
    begin, end = first(2, Interval.DAY, AMSTERDAM, utc(f"{day}T12:00:00+01:00"))
    assert end - begin == hours * HOUR


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    hours = first(3, Interval.HOUR, AMSTERDAM, utc("2026-10-25T00:10:00+00:00"))
    shown = [hour.astimezone(AMSTERDAM).isoformat() for hour in hours]
    assert shown == [f"2026-10-25T0{hour}:00:00+0{offset}:00" for hour, offset in ((2, 2), (2, 1), (3, 1))]


def test_a_day_without_a_midnight_begins_when_the_clock_goes_on() -> None:
    [begin] = first(1, Interval.DAY, SANTIAGO, utc("2026-09-06T12:00:00-03:00"))
    assert begin.astimezone(SANTIAGO).isoformat() == "2026-09-06T01:00:00-03:00"


def test_hours_of_a_zone_half_an_hour_away_are_told_by_minutes() -> None:
    for zone, expected in ((AMSTERDAM, True), (KOLKATA, False)):
        begins = tuple(first(4, Interval.HOUR, zone, utc("2026-07-01T12:34:56+00:00")))
        assert Range(Interval.HOUR, zone, begins, begins[-1] + HOUR).is_of_hours is expected
        assert begins[0].astimezone(zone).minute == 0


@given(
    since=st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from([AMSTERDAM, KOLKATA, SANTIAGO]),
    interval=st.sampled_from(Interval),
)
def test_intervals_follow_each_other_from_the_one_that_holds_the_beginning(
    since: datetime, zone: ZoneInfo, interval: Interval
) -> None:
    begins = first(40, interval, zone, since)
    assert begins[0] <= since < begins[1]
    longest = {Interval.MINUTE: timedelta(minutes=1), Interval.HOUR: HOUR, Interval.DAY: 25 * HOUR}[interval]
    assert all(timedelta(0) < end - begin <= longest for begin, end in pairwise(begins))
