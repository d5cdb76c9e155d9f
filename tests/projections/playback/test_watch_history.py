"""Watch history: the row of a session, by month."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from projections.playback.completion import Thresholds
from projections.playback.watch_history import WatchedSession, WatchHistory
from projections.playback.watch_history_removed import RemovedFromHistory
from tests.builders import (
    EVENING,
    MINUTE_MS,
    episode,
    playback_started,
    recorded,
    reported,
    session,
    watch_history_removed,
)
from tests.projections.folds import rows_after
from tests.projections.playback.test_session_timeline import REPORTS

VIEW = WatchHistory(Thresholds())
EVENING_US = int(EVENING.timestamp()) * 1_000_000


def test_a_granted_session_is_in_the_history_of_its_month() -> None:
    (stamped,) = VIEW.project(recorded(playback_started(session(title=episode(2)))))
    assert stamped.row == WatchedSession(
        profile_id="profile-1",
        month="2026-11",
        started_at=EVENING,
        session_id="session-1",
        account_id="account-1",
        title_id="harbour-s1e2",
        title_name="Episode 2",
        title_kind="episode",
        series_id="harbour",
        series_name="Harbour",
        season_number=1,
        episode_number=2,
        duration_ms=40 * MINUTE_MS,
        device_id="tv-1",
        device_type="tv",
        position_ms=0,
        last_at=EVENING,
        completed=None,
    )
    assert stamped.timestamp_us == EVENING_US


@pytest.mark.parametrize("report", list(p.EVENT_OF), ids=lambda report: report.__name__)
def test_a_report_writes_the_row_with_a_timestamp_that_grows_with_seq(report: type[p.Report]) -> None:
    (stamped,) = VIEW.project(recorded(reported(report, 4, **REPORTS.get(report, {}))))
    assert (stamped.row.position_ms, stamped.row.last_at) == (40_000, EVENING + timedelta(seconds=40))
    assert stamped.timestamp_us == EVENING_US + 5
    assert stamped.row.completed is (True if report is p.Completed else None)


def test_the_credits_complete_a_session() -> None:
    (stamped,) = VIEW.project(recorded(reported(p.Heartbeat, 4, position_ms=94 * MINUTE_MS)))
    assert stamped.row.completed is True


def test_the_month_is_in_utc() -> None:
    seoul = datetime(2026, 12, 1, 3, tzinfo=timezone(timedelta(hours=9)))
    (stamped,) = VIEW.project(recorded(playback_started(session(started_at=seoul))))
    assert (stamped.row.month, stamped.row.started_at.astimezone(UTC).day) == ("2026-11", 30)


WATCHED = [
    playback_started(),
    reported(p.Heartbeat, 1),
    reported(p.Completed, 2, position_ms=95 * MINUTE_MS),
    reported(p.Stopped, 3, position_ms=12 * MINUTE_MS),
]


@given(st.permutations(WATCHED * 2), st.sets(st.integers(0, 8)))
async def test_the_highest_seq_stays_whatever_the_order(events: list[Any], splits: set[int]) -> None:
    (row,) = (await rows_after(VIEW, events, splits)).values()
    assert (row["position_ms"][1], row["completed"][1]) == (12 * MINUTE_MS, True)


async def test_a_slab_writes_a_session_once_when_the_last_row_says_it_all() -> None:
    rows = await rows_after(VIEW, [reported(p.Heartbeat, seq) for seq in range(20)])
    assert len(rows) == 1


def test_what_was_removed_has_a_row_at_the_place_of_its_session() -> None:
    (watched,) = VIEW.project(recorded(playback_started()))
    (removed,) = RemovedFromHistory().project(recorded(watch_history_removed(at=EVENING + timedelta(days=40))))
    assert VIEW.bucket + VIEW.key == RemovedFromHistory.bucket + RemovedFromHistory.key
    for name in VIEW.bucket + VIEW.key:
        assert getattr(removed.row, name) == getattr(watched.row, name)


async def test_a_report_that_is_sent_again_and_corrected_otherwise_leaves_the_same_in_one_slab_as_in_two() -> None:
    first = reported(p.Heartbeat, 3)
    again = reported(p.Heartbeat, 3, time=EVENING + timedelta(seconds=30, milliseconds=80))
    for order in ([first, again], [again, first]):
        [row] = (await rows_after(VIEW, order)).values()
        assert await rows_after(VIEW, order, [1]) == await rows_after(VIEW, order)
        assert row["last_at"][1] == EVENING + timedelta(seconds=30, milliseconds=80)
