"""Which months of watch history are read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from infra.settings import Settings
from query_api.playback.watch_history import kept_months, month_of


@pytest.mark.parametrize(
    ("ttl_days", "months"),
    [
        (1, ["2026-03"]),
        (31, ["2026-03", "2026-02"]),
        (59, ["2026-03", "2026-02", "2026-01"]),
        (90, ["2026-03", "2026-02", "2026-01", "2025-12"]),
    ],
)
def test_months_reach_back_to_the_oldest_kept_row(ttl_days: int, months: list[str]) -> None:
    now = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    assert kept_months(now, Settings(history_ttl_days=ttl_days)) == months


def test_every_day_that_is_kept_is_in_a_month_that_is_read() -> None:
    for day in range(0, 800, 7):
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
        months = kept_months(now, Settings(history_ttl_days=400))
        assert {month_of(now - timedelta(days=back)) for back in range(401)} == set(months)
        assert months == sorted(months, reverse=True)


def test_a_month_is_counted_in_utc() -> None:
    assert month_of(datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=9)))) == "2025-12"
