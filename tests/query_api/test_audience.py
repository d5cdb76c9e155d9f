"""What is made of counts: hotness and its tiers, the curve and its falls, ranges and their buckets."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import Settings
from projections.playback import title_retention as written
from query_api.audience import retention
from query_api.audience.hotness import TIERS, hotness_of, tier_of, weight_of, weights_of
from query_api.audience.ranges import Buckets, Interval, asked_buckets, day_of, hour_of
from query_api.audience.windows import window_of
from query_api.tables.ranges import DAY, HOUR, Span

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
VIEWS = st.integers(0, 40_000)


@pytest.mark.parametrize(
    ("views", "hotness", "tier"),
    [
        ((0, 0, 0), 0.0, "cold"),
        ((1, 1, 1), 0.0001, "cold"),
        ((4_999, 5_000, 5_002), 0.49999, "cold"),
        ((5_000, 5_000, 5_000), 0.5, "warm"),
        ((7_999, 8_000, 8_002), 0.79999, "warm"),
        ((8_000, 8_000, 8_000), 0.8, "hot"),
        ((0, 0, 25_000), 0.5, "warm"),
        ((0, 0, 24_999), 0.49998, "cold"),
        ((0, 0, 40_000), 0.8, "hot"),
        ((10_000, 10_000, 10_000), 1.0, "hot"),
        ((90_000, 90_000, 90_000), 1.0, "hot"),
    ],
)
def test_hotness_is_the_formula_and_tiers_begin_where_they_say(
    views: tuple[int, int, int], hotness: float, tier: str
) -> None:
    weight = weight_of(*views)
    assert (hotness_of(weight), tier_of(weight)) == (hotness, tier)


@given(day=VIEWS, week=VIEWS, month=VIEWS)
def test_hotness_is_the_formula_for_any_views(day: int, week: int, month: int) -> None:
    weight = weight_of(day, week, month)
    assert hotness_of(weight) == pytest.approx(min(1, (day * 0.5 + week * 0.3 + month * 0.2) / 10_000), abs=1e-12)
    least, above = weights_of(tier_of(weight))
    assert least <= weight and (above is None or weight < above)


def test_tiers_leave_no_weight_out() -> None:
    assert [weights_of(tier) for tier, _ in TIERS] == [(80_000, None), (50_000, 80_000), (0, 50_000)]
    assert weights_of(None) == (0, None)


def test_as_many_points_are_read_as_are_written() -> None:
    assert retention.POINTS == written.POINTS


def test_the_largest_falls_are_named_with_their_place() -> None:
    watched = [100] * 10 + [60] * 40 + [70] * 10 + [65] * 40
    left = [0] * 10 + [38] + [0] * 89
    curve = retention.points(watched, left, 100, 200_000)
    falls = [(one.percent, one.position_ms, one.fall, one.left) for one in retention.drop_offs(curve)]
    assert falls == [(10, 20_000, 0.4, 38), (60, 120_000, 0.05, 0)]


def test_at_most_five_falls_are_named() -> None:
    curve = retention.points(range(100, 0, -1), [0] * 100, 100, None)
    assert [one.percent for one in retention.drop_offs(curve)] == [1, 2, 3, 4, 5]


def test_a_title_that_nobody_started_has_a_curve_without_shares() -> None:
    curve = retention.points(retention.added([]), retention.added([]), 0, 1_000)
    assert len(curve) == 100 and {one.share for one in curve} == {None}
    assert retention.drop_offs(curve) == []


async def buckets(begin: datetime, hours: int, interval: Interval, zone: ZoneInfo) -> Buckets:
    return await asked_buckets(Settings(hours_kept_days=36_500), Span(begin, begin + hours * HOUR), zone, interval)


async def test_days_are_those_of_the_zone() -> None:
    days = await buckets(datetime(2026, 1, 1, 14, tzinfo=UTC), 26, "day", SEOUL)  # 23:00 to 01:00
    assert [begin.astimezone(SEOUL).isoformat() for begin in days] == [
        f"2026-01-0{day}T00:00:00+09:00" for day in (1, 2, 3)
    ]
    assert days.of(datetime(2026, 1, 1, 15, tzinfo=UTC)) == datetime(2026, 1, 2, tzinfo=SEOUL)


@pytest.mark.parametrize("interval", ["hour", "day"])
@pytest.mark.parametrize("begin", [datetime(2026, 3, 28, 5, tzinfo=UTC), datetime(2026, 10, 24, 5, tzinfo=UTC)])
async def test_every_hour_is_in_a_bucket_when_clocks_change(begin: datetime, interval: Interval) -> None:
    cut = await buckets(begin, 48, interval, BERLIN)
    begins = list(cut)
    assert begins == sorted(set(begins)) and len(begins) == {"hour": 48, "day": 3}[interval]
    assert {cut.of(begin + number * HOUR) for number in range(48)} == set(begins)


async def test_a_range_is_of_whole_days_in_the_zone() -> None:
    found = (await buckets(datetime(2026, 3, 29, 10, tzinfo=UTC), 2, "day", BERLIN)).range
    assert found.end - found.begin == 23 * HOUR
    assert found.begin.astimezone(BERLIN).isoformat() == "2026-03-29T00:00:00+01:00"


def test_hours_and_days_begin_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 45, 6, tzinfo=SEOUL)
    assert hour_of(moment) == datetime(2026, 1, 1, 18, tzinfo=UTC)
    assert day_of(moment) == datetime(2026, 1, 1, tzinfo=UTC)


@given(hours=st.integers(1, 720), minutes=st.integers(0, 60 * 24 * 3))
def test_a_window_is_its_hours_and_then_whole_days(hours: int, minutes: int) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    window = window_of(hours, now)
    by_hour = {window.begin + number * HOUR for number in range((window.cut - window.begin) // HOUR)}
    days = [day_of(now) - number * DAY for number in range(31)]
    by_day = {day + number * HOUR for day in days if window.cut <= day <= now for number in range(24)}
    assert len(by_hour) <= 24 and not by_hour & by_day
    assert {hour for hour in by_hour | by_day if hour <= now} == {hour_of(now) - n * HOUR for n in range(hours)}
