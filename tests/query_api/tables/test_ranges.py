"""The intervals of a range, across changes of the clock, and what cannot be asked for."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from query_api.tables.ranges import (
    DAY,
    HOUR,
    LENGTH,
    MINUTE,
    UTC_ZONE,
    Interval,
    Most,
    Range,
    Span,
    asked_zone,
    cut,
    intervals,
)

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


MOST = Most(100, 24)


def refusal(asked: Span, interval: Interval = Interval.HOUR) -> str:
    with pytest.raises(RequestValidationError) as refused:
        cut(asked, interval, UTC_ZONE, MOST)
    [error] = refused.value.errors()
    assert error["loc"] == ("query", "from")
    return str(error["msg"])


def test_a_range_ends_before_its_end() -> None:
    found = cut(Span(utc("2026-01-01T00:10:00Z"), utc("2026-01-01T03:00:00Z")), Interval.HOUR, UTC_ZONE, MOST)
    assert (found.begin, found.end, len(found.begins)) == (utc("2026-01-01T00:00:00Z"), utc("2026-01-01T03:00:00Z"), 3)


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize("until", ["2026-07-01T12:34:56Z", "2026-07-02T00:00:00Z"])
def test_a_request_that_does_not_say_since_when_gets_so_many_intervals(interval: Interval, until: str) -> None:
    found = cut(Span(None, utc(until)), interval, AMSTERDAM, MOST)
    assert len(found.begins) == 24 and found.begins[-1] < utc(until) <= found.end


def test_a_moment_is_in_the_interval_that_holds_it() -> None:
    found = cut(Span(utc("2026-10-24T00:00:00Z"), utc("2026-10-27T00:00:00Z")), Interval.DAY, AMSTERDAM, MOST)
    for begin, end in pairwise((*found.begins, found.end)):
        assert {found.of(begin), found.of(begin + HOUR), found.of(end - MINUTE)} == {begin}


def test_a_range_of_too_many_intervals_is_refused_with_how_many_are_read() -> None:
    asked = Span(utc("2026-01-01T00:00:00Z"), utc("2026-01-05T04:00:01Z"))
    assert refusal(asked) == "the range has more than 100 hours; ask for longer ones, or for less"
    assert len(cut(asked, Interval.DAY, UTC_ZONE, MOST).begins) == 5


@pytest.mark.parametrize("until", ["2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"])
def test_a_range_that_ends_before_it_begins_is_refused(until: str) -> None:
    assert refusal(Span(utc("2026-01-01T00:00:00Z"), utc(until))) == "Input should lie before `to`"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("9999-12-31T23:00:00Z", "9999-12-31T23:59:59Z"),
        ("9998-12-31T23:30:00Z", "9998-12-31T23:59:59Z"),
        ("1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_range_that_some_zone_could_not_show_is_refused(since: str | None, until: str) -> None:
    for interval in Interval:
        asked = Span(None if since is None else utc(since), utc(until))
        assert refusal(asked, interval) == "the range reaches outside of the years 1970 to 9998"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../../etc/passwd", "", "utc "])
async def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(RequestValidationError):
        await asked_zone(zone)


@given(
    since=st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    minutes=st.integers(1, 60 * 99),
    zone=st.sampled_from([AMSTERDAM, KOLKATA, SANTIAGO]),
    interval=st.sampled_from([Interval.HOUR, Interval.DAY]),
)
def test_a_range_is_whole_intervals_around_what_was_asked_for(
    since: datetime, minutes: int, zone: ZoneInfo, interval: Interval
) -> None:
    found = cut(Span(since, since + minutes * MINUTE), interval, zone, MOST)
    assert found.begin <= since < found.begins[0] + 2 * LENGTH[interval]
    assert found.begins[-1] < since + minutes * MINUTE <= found.end
    assert all(HOUR <= end - begin <= DAY + HOUR for begin, end in pairwise((*found.begins, found.end)))
