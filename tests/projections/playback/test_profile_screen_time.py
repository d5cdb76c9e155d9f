"""Screen time: the minutes of a session, in the hour that it started in."""

from datetime import UTC, datetime

from msgspec.structs import replace

from events import playback as p
from projections.playback.playback_sessions import PlaybackSession
from projections.playback.profile_screen_time import MOST_MINUTES, ProfileScreenTime, ProfileScreenTimeByHour
from tests.builders import EVENING
from tests.projections.playback.sittings import summary, told

VIEW = ProfileScreenTimeByHour()
AN_HOUR: PlaybackSession = replace(summary(told(p.Started, 0, 0)), playing_ms=3_600_000)


def test_a_session_counts_in_the_hour_that_it_started_in() -> None:
    [row] = VIEW.contributions(replace(AN_HOUR, started_at=datetime(2026, 11, 21, 19, 59, tzinfo=UTC)))
    assert row == ProfileScreenTime(
        key='["profile-1","2026-11-21T19:00:00Z"]',
        account_id="account-1",
        profile_id="profile-1",
        hour=EVENING,
        sessions=1,
        minutes=60,
    )


def test_a_session_that_showed_nothing_is_no_screen_time() -> None:
    assert VIEW.contributions(summary()) == ()


def test_minutes_are_rounded_and_those_of_ads_count() -> None:
    spent = [(29_999, 0), (30_000, 0), (40_000, 50_000), (2**50, 0)]
    rows = [VIEW.contributions(replace(AN_HOUR, playing_ms=playing, ad_ms=ads))[0] for playing, ads in spent]
    assert [row.minutes for row in rows] == [0, 1, 2, MOST_MINUTES]


def test_a_report_within_a_minute_changes_nothing() -> None:
    shown = summary(told(p.Started, 0, 0), told(p.Heartbeat, 10, 10))
    later = summary(told(p.Started, 0, 0), told(p.Heartbeat, 10, 10), told(p.Heartbeat, 20, 20))
    assert VIEW.gives_the_same(shown, later)
    assert not VIEW.gives_the_same(summary(), shown)
    assert not VIEW.gives_the_same(shown, AN_HOUR)


def test_what_is_taken_out_of_the_history_stays_counted() -> None:
    assert VIEW.gives_the_same(AN_HOUR, replace(AN_HOUR, removed_at=EVENING))
