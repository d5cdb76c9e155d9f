"""Continue watching: the rules of the domain's page, each by its number, and what each report does to a row."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import playback as p
from events.envelope import Envelope, Event
from events.types import ProfileId, TitleKind
from projections.playback.completion import Thresholds
from projections.playback.continue_watching import Bookmark, ContinueWatching
from projections.playback.watch_history import WatchHistory
from projections.views import Shelf
from tests.builders import (
    EVENING,
    MINUTE_MS,
    continue_watching_hidden,
    episode,
    movie,
    recorded,
    reported,
    session,
    watch_history_removed,
)
from tests.projections.folds import project, rows_after
from tests.projections.playback.test_session_timeline import REPORTS

VIEW = ContinueWatching(Thresholds(), most_rows=200, ttl_s=1)
HOUR = timedelta(hours=1)
TODAY = session("today", title=movie())
LATER = session("later", title=movie(), started_at=EVENING + HOUR)


def watched(of: p.SessionSnapshot, *, minutes: int, begin_ms: int = 0, first_seq: int = 0) -> list[Envelope[Event]]:
    """A session that plays for some minutes, with a report each minute."""
    return [
        reported(
            p.Started if minute == 0 and first_seq == 0 else p.Heartbeat,
            first_seq + minute,
            of=of,
            position_ms=begin_ms + minute * MINUTE_MS,
            time=of.started_at + timedelta(minutes=first_seq + minute),
        )
        for minute in range(minutes + 1)
    ]


def watched_ms(of: p.SessionSnapshot, until_ms: int) -> list[Envelope[Event]]:
    """A session that plays from the beginning for so long, and tells at its end."""
    return [
        reported(p.Started, 0, of=of, position_ms=0, time=of.started_at),
        reported(p.Heartbeat, 1, of=of, position_ms=until_ms, time=of.started_at + timedelta(milliseconds=until_ms)),
    ]


def shown(row: Bookmark) -> tuple[object, ...]:
    """What anybody sees of a row."""
    return row.title_id, row.state, row.position_ms, row.updated_at, row.play_count, row.hidden


def after(*events: Envelope[Event]) -> Bookmark:
    row = project(VIEW, events)
    assert isinstance(row, Bookmark)
    return row


@pytest.mark.parametrize("report", list(p.EVENT_OF), ids=lambda report: report.__name__)
def test_a_report_moves_the_bookmark_of_its_session(report: type[p.Report]) -> None:
    row = after(reported(report, 4, **REPORTS.get(report, {})))
    state = "completed" if report is p.Completed else "in_progress"
    assert (row.position_ms, row.updated_at, row.seq, row.state) == (40_000, EVENING + timedelta(seconds=40), 4, state)


def test_r1_a_film_has_its_own_row_and_a_series_one_for_all_episodes() -> None:
    keys = [VIEW.key(recorded(reported(of=session(title=title)))) for title in (movie(), episode(1), episode(2))]
    assert keys == [Shelf("profile-1", "night-of-the-living-dead"), *2 * [Shelf("profile-1", "harbour")]]


def test_r1_each_profile_has_rows_of_its_own() -> None:
    keys = {VIEW.key(recorded(reported(of=session(title=movie(), profile_id=ProfileId(who))))) for who in ("a", "b")}
    assert keys == {Shelf(who, "night-of-the-living-dead") for who in ("a", "b")}


def test_r1_the_next_episode_takes_its_series_row_over() -> None:
    first, second = (session(f"s{n}", title=episode(n), started_at=EVENING + n * HOUR) for n in (1, 2))
    row = after(*watched(first, minutes=5), *watched(second, minutes=2))
    assert (row.title_id, row.position_ms, row.session_id) == ("harbour-s1e2", 2 * MINUTE_MS, "s2")


def test_r2_the_later_of_two_sessions_wins_whichever_is_reported_first() -> None:
    early, late = watched(TODAY, minutes=5), watched(LATER, minutes=9)
    for row in (after(*early, *late), after(*late, *early)):
        assert (row.session_id, row.position_ms) == ("later", 9 * MINUTE_MS)


def test_r2_at_the_same_time_the_session_that_started_later_wins() -> None:
    tied = session("tied", started_at=EVENING + timedelta(minutes=1))
    events = watched(TODAY, minutes=5), watched(tied, minutes=4)
    assert after(*events[0], *events[1]).session_id == "tied"
    assert after(*events[1], *events[0]).session_id == "tied"


def test_r2_at_the_same_time_and_start_the_higher_seq_wins() -> None:
    twin = session("twin", title=movie())
    lower, higher = watched(TODAY, minutes=5), watched(twin, minutes=5)
    higher[-1] = reported(p.Heartbeat, 6, of=twin, position_ms=5 * MINUTE_MS, time=EVENING + timedelta(minutes=5))
    for row in (after(*lower, *higher), after(*higher, *lower)):
        assert (row.session_id, row.seq) == ("twin", 6)


def test_r2_a_late_older_event_changes_history_only() -> None:
    row, late = after(*watched(LATER, minutes=9)), watched(TODAY, minutes=5)
    assert shown(project(VIEW, late, row)) == shown(row)
    histories = [WatchHistory(Thresholds()).project(recorded(event)) for event in late]
    assert [stamped.row.position_ms for (stamped,) in histories] == [minute * MINUTE_MS for minute in range(6)]


def test_r3_across_sessions_time_orders_and_not_seq() -> None:
    row = after(*watched(TODAY, minutes=20), *watched(LATER, minutes=2))
    assert (row.session_id, row.seq) == ("later", 2)


def test_r3_within_a_session_seq_orders_and_not_time() -> None:
    late = reported(p.Paused, 9, of=TODAY, position_ms=7 * MINUTE_MS, time=EVENING)
    stale = reported(p.Heartbeat, 8, of=TODAY, position_ms=6 * MINUTE_MS, time=EVENING + HOUR)
    assert after(*watched(TODAY, minutes=5), late, stale).position_ms == 7 * MINUTE_MS


def test_r4_opening_a_title_and_backing_out_does_not_lose_the_place() -> None:
    opened = [reported(p.Started, 0, of=LATER, position_ms=0), reported(p.Stopped, 1, of=LATER, position_ms=10_000)]
    row = after(*watched(TODAY, minutes=20), *opened)
    assert (row.session_id, row.position_ms) == ("today", 20 * MINUTE_MS)


def test_r4_opening_another_episode_and_backing_out_does_not_lose_the_place_in_the_series() -> None:
    first, second = (session(f"s{n}", title=episode(n), started_at=EVENING + n * HOUR) for n in (1, 2))
    row = after(*watched(first, minutes=20), *watched_ms(second, 59_999))
    assert (row.title_id, row.position_ms) == ("harbour-s1e1", 20 * MINUTE_MS)


@pytest.mark.parametrize(
    ("duration_minutes", "watched_for_ms", "session_id"),
    [(96, 59_999, "first"), (96, 60_000, "second"), (10, 29_999, "first"), (10, 30_000, "second")],
)
def test_r4_a_minute_or_of_a_short_title_five_percent_take_the_bookmark_over(
    duration_minutes: int, watched_for_ms: int, session_id: str
) -> None:
    title = movie(duration_ms=duration_minutes * MINUTE_MS, credits_start_ms=None)
    first, second = session("first", title=title), session("second", title=title, started_at=EVENING + HOUR)
    assert after(*watched(first, minutes=5), *watched_ms(second, watched_for_ms)).session_id == session_id


def test_r4_a_jump_is_not_watched() -> None:
    jumped = [
        reported(p.Started, 0, of=LATER, position_ms=0),
        reported(p.Seeked, 1, of=LATER, from_ms=10_000, position_ms=60 * MINUTE_MS),
        reported(p.Heartbeat, 2, of=LATER, position_ms=60 * MINUTE_MS + 10_000),
    ]
    row = after(*watched(TODAY, minutes=20), *jumped)
    assert (row.session_id, row.rival and row.rival.watched) == ("today", (0, 10_000, 3_600_000, 3_610_000))


def test_r4_the_same_seconds_watched_again_and_again_count_once() -> None:
    began = reported(p.Started, 0, of=LATER, position_ms=0)
    back = [reported(p.Seeked, seq, of=LATER, from_ms=10_000, position_ms=0) for seq in range(1, 9)]
    row = after(*watched(TODAY, minutes=20), began, *back)
    assert (row.session_id, row.rival and row.rival.watched) == ("today", (0, 10_000))


def test_r4_a_position_that_moves_faster_than_players_play_was_not_watched() -> None:
    leapt = [reported(p.Started, 0, of=LATER, position_ms=0), reported(p.Heartbeat, 1, of=LATER, position_ms=MINUTE_MS)]
    assert after(*watched(TODAY, minutes=20), *leapt).session_id == "today"


def test_r4_a_title_never_watched_before_has_a_row_at_once() -> None:
    assert after(reported(p.Started, 0, of=TODAY)).state == "in_progress"


def test_two_devices_at_once_the_later_event_wins() -> None:
    tv, phone = session("tv"), session("phone", started_at=EVENING + timedelta(minutes=3))
    row = after(*watched(tv, minutes=5), *watched(phone, minutes=5, begin_ms=30 * MINUTE_MS))
    assert row.session_id == "phone"
    row = after(
        *watched(tv, minutes=5),
        *watched(phone, minutes=5, begin_ms=30 * MINUTE_MS),
        *watched(tv, minutes=0, first_seq=9, begin_ms=9 * MINUTE_MS),
    )
    assert (row.session_id, row.position_ms) == ("tv", 9 * MINUTE_MS)


@pytest.mark.parametrize(
    ("title", "position_ms", "state"),
    [
        (movie(credits_start_ms=None), int(96 * MINUTE_MS * 0.9) - 1, "in_progress"),
        (movie(credits_start_ms=None), int(96 * MINUTE_MS * 0.9), "completed"),
        (movie(), 94 * MINUTE_MS - 1, "in_progress"),
        (movie(), 94 * MINUTE_MS, "completed"),
    ],
)
def test_r5_a_title_is_complete_at_its_credits_or_at_ninety_percent(
    title: p.TitleSnapshot, position_ms: int, state: str
) -> None:
    assert after(reported(p.Heartbeat, 1, of=session(title=title), position_ms=position_ms)).state == state


def test_r5_how_much_completes_a_title_is_a_setting() -> None:
    half = ContinueWatching(Thresholds(complete_at_ratio=0.5), most_rows=200, ttl_s=1)
    film = session(title=movie(credits_start_ms=None))
    for position_ms, state in ((48 * MINUTE_MS - 1, "in_progress"), (48 * MINUTE_MS, "completed")):
        row = project(half, [reported(p.Heartbeat, 1, of=film, position_ms=position_ms)])
        assert row is not None
        assert row.state == state


def test_r5_a_title_under_five_minutes_never_resumes() -> None:
    short = session(title=movie(duration_ms=5 * MINUTE_MS - 1, credits_start_ms=None))
    assert project(VIEW, watched(short, minutes=3)) is None
    assert after(*watched(short, minutes=4), reported(p.Completed, 9, of=short)).state == "completed"


def test_r5_a_short_episode_does_not_take_its_series_row_over() -> None:
    extra = session("extra", title=episode(9, duration_ms=3 * MINUTE_MS), started_at=EVENING + HOUR)
    row = after(*watched(session("s1", title=episode(1)), minutes=9), *watched(extra, minutes=2))
    assert (row.title_id, row.position_ms) == ("harbour-s1e1", 9 * MINUTE_MS)


def test_r6_a_completed_episode_offers_the_next_from_its_beginning() -> None:
    first = session(title=episode(1))
    row = after(*watched(first, minutes=37), reported(p.Stopped, 99, of=first, position_ms=40 * MINUTE_MS))
    assert (row.title_id, row.state, row.next_title_id, row.position_ms) == (
        "harbour-s1e1",
        "next_episode",
        "harbour-s1e2",
        0,
    )


def test_r6_the_last_episode_is_completed() -> None:
    last = session(title=episode(8, next_title_id=None))
    assert after(*watched(last, minutes=37)).state == "completed"


NOON_AFTER = EVENING + 17 * HOUR
TOMORROW = session("tomorrow", title=movie(), started_at=EVENING + 24 * HOUR)


def test_r7_a_hidden_row_is_gone_until_a_play_begins_after_that() -> None:
    hidden = after(*watched(TODAY, minutes=20), continue_watching_hidden(at=NOON_AFTER))
    assert (hidden.hidden, hidden.position_ms, hidden.state) == (True, 20 * MINUTE_MS, "in_progress")
    row = project(VIEW, watched(TOMORROW, minutes=5), hidden)
    assert (row.hidden, row.session_id, row.position_ms) == (False, "tomorrow", 5 * MINUTE_MS)


def test_r7_a_session_that_goes_on_moves_the_hidden_row_and_does_not_bring_it_back() -> None:
    before, hide = watched(TODAY, minutes=20), continue_watching_hidden(at=EVENING + timedelta(minutes=20, seconds=1))
    row = after(*before, hide, *watched(TODAY, minutes=5, first_seq=21, begin_ms=21 * MINUTE_MS))
    assert (row.hidden, row.position_ms) == (True, 26 * MINUTE_MS)


def test_r7_another_session_of_before_that_is_reported_late_does_not_bring_it_back() -> None:
    hide = continue_watching_hidden(at=NOON_AFTER)
    assert after(*watched(TODAY, minutes=20), hide, *watched(LATER, minutes=9)).hidden
    assert after(hide, *watched(LATER, minutes=9)).hidden


def test_r7_a_play_that_begins_and_is_left_at_once_brings_the_row_back_where_it_was() -> None:
    opened = reported(p.Started, 0, of=TOMORROW, position_ms=0)
    row = after(*watched(TODAY, minutes=20), continue_watching_hidden(at=NOON_AFTER), opened)
    assert (row.hidden, row.session_id, row.position_ms) == (False, "today", 20 * MINUTE_MS)


def test_r7_what_is_hidden_again_is_gone_again() -> None:
    row = after(
        *watched(TODAY, minutes=20),
        continue_watching_hidden(at=NOON_AFTER),
        *watched(TOMORROW, minutes=5),
        continue_watching_hidden(at=EVENING + 25 * HOUR),
    )
    assert row.hidden
    assert VIEW.project(row, recorded(continue_watching_hidden(at=NOON_AFTER))) is row


def test_r7_hiding_leaves_what_was_watched_as_it_is() -> None:
    row = after(*watched(TODAY, minutes=95), continue_watching_hidden(at=NOON_AFTER), *watched(TOMORROW, minutes=95))
    assert (row.state, row.play_count) == ("completed", 2)


def test_r7_a_row_of_which_nothing_is_known_is_hidden_too() -> None:
    row = after(continue_watching_hidden("harbour", at=NOON_AFTER))
    assert (row.hidden, row.state, row.title_id) == (True, "unwatched", "harbour")
    short = session("short", title=episode(9, duration_ms=3 * MINUTE_MS), started_at=EVENING + 24 * HOUR)
    assert project(VIEW, watched(short, minutes=2), row).hidden  # R5: there is nothing to show


@given(st.permutations([*watched(TODAY, minutes=3), *watched(TOMORROW, minutes=3)]), st.integers(0, 8))
def test_r7_it_does_not_matter_when_the_hiding_is_told(events: list[Any], place: int) -> None:
    for at, hidden in ((NOON_AFTER, False), (EVENING + 30 * HOUR, True)):
        told = [*events[:place], continue_watching_hidden(at=at), *events[place:]]
        assert after(*told).hidden is hidden


def test_a_session_taken_out_of_the_history_takes_the_row_along_that_shows_its_title() -> None:
    first, second = (session(f"s{n}", title=episode(n), started_at=EVENING + n * HOUR) for n in (1, 2))
    row = after(*watched(first, minutes=9), *watched(second, minutes=9))
    assert VIEW.project(row, recorded(watch_history_removed(first, at=NOON_AFTER))) is row
    assert project(VIEW, [watch_history_removed(second, at=NOON_AFTER)], row).hidden
    assert project(VIEW, [watch_history_removed(second, at=NOON_AFTER)]) is None


def test_r8_watching_again_keeps_that_it_was_completed_and_how_often() -> None:
    again = session("again", started_at=EVENING + 24 * HOUR)
    assert after(*watched(TODAY, minutes=95)).play_count == 1
    row = after(*watched(TODAY, minutes=95), *watched(again, minutes=10))
    assert (row.session_id, row.state, row.play_count) == ("again", "in_progress", 1)
    row = after(*watched(TODAY, minutes=95), *watched(again, minutes=95))
    assert (row.state, row.play_count) == ("completed", 2)


def test_r8_a_session_completes_once() -> None:
    back = reported(p.Seeked, 200, of=TODAY, from_ms=95 * MINUTE_MS, position_ms=0)
    again = watched(TODAY, minutes=95, first_seq=201)
    row = after(*watched(TODAY, minutes=95), back, *again)
    assert (row.state, row.play_count) == ("completed", 1)


def test_r9_a_fatal_error_changes_nothing() -> None:
    failed = recorded(reported(p.Failed, 99, of=TODAY, code="E1", fatal=True, position_ms=0))
    row = after(*watched(TODAY, minutes=5))
    assert VIEW.project(row, failed) is row
    assert VIEW.project(None, failed) is None


def test_r10_live_has_no_bookmark_since_it_is_not_played_on_demand() -> None:
    assert {kind.value for kind in TitleKind} == {"movie", "episode", "short"}
    channel = {**msgspec.to_builtins(movie()), "kind": "live_channel"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(channel, p.TitleSnapshot)


@given(st.permutations(watched(TODAY, minutes=6) * 2))
def test_a_session_s_reports_in_any_order_leave_its_last_position(events: list[Any]) -> None:
    row = after(*events)
    assert (row.position_ms, row.seq, row.updated_at) == (6 * MINUTE_MS, 6, EVENING + timedelta(minutes=6))


@given(st.sets(st.integers(0, 14)))
async def test_the_row_is_the_same_in_any_slabs(splits: set[int]) -> None:
    events = [*watched(TODAY, minutes=4), *watched(LATER, minutes=5)]
    rows = await rows_after(VIEW, events, splits)
    assert rows == {Shelf("profile-1", "night-of-the-living-dead"): after(*events)}
