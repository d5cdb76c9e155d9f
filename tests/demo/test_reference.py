"""The reference model of continue watching, rule by rule, on cases that can be worked out by hand."""

from playhead.demo.ledger import AcknowledgedSession
from playhead.demo.watching.reference import Rules, Shown, continue_watching, union_ms, watched_ms
from playhead.demo.watching.sitting import Moment, Title
from tests.demo.evenings import session, watched

RULES = Rules(60_000, 0.05, 0.9, 300_000)
FILM = Title("film", "A film", 600_000, 500_000)
UNMARKED = Title("unmarked", "A film without a credits marker", 600_000)
SHORT = Title("short", "A short", 120_000)
FIRST = Title("first", "Episode 1", 400_000, 380_000, "series", "second")
SECOND = Title("second", "Episode 2", 400_000, 380_000, "series", None)


def shown(*sessions: AcknowledgedSession) -> dict[str, Shown]:
    return continue_watching(sessions, RULES)


def in_progress(title: Title, position_s: int) -> Shown:
    return Shown(title.title_id, "in_progress", position_s * 1000, title.next_title_id)


def then(moments: list[Moment], type_: str, after_s: int, **facts: object) -> list[Moment]:
    last = moments[-1]
    return [*moments, Moment(last.seq + 1, last.at_ms + after_s * 1000, type_, last.position_ms, facts)]


def test_a_profile_that_watched_nothing_has_no_rows() -> None:
    assert shown() == {}


def test_a_film_resumes_where_it_was_left() -> None:
    assert shown(session(FILM, *watched(0, 0, 100, 200))) == {"film": in_progress(FILM, 200)}


def test_a_series_has_one_row_for_the_episode_watched_last() -> None:
    first, second = session(FIRST, *watched(0, 0, 100)), session(SECOND, *watched(500, 0, 100), number=1)
    assert shown(first, second) == {"series": in_progress(SECOND, 100)}


def test_the_later_device_wins_whatever_was_acknowledged_last() -> None:
    television = session(FILM, *watched(0, 0, 100, 200), number=1)
    phone = session(FILM, *watched(500, 200, 300), number=0)
    assert shown(phone, television) == {"film": in_progress(FILM, 300)}


def test_opening_a_title_and_backing_out_keeps_the_place() -> None:
    kept, opened = session(FILM, *watched(0, 0, 200)), session(FILM, *watched(500, 0, 20), number=1)
    assert shown(kept, opened) == {"film": in_progress(FILM, 200)}


def test_watching_enough_after_opening_it_again_moves_the_place() -> None:
    kept, again = session(FILM, *watched(0, 0, 200)), session(FILM, *watched(500, 0, 30), number=1)
    assert shown(kept, again) == {"film": in_progress(FILM, 30)}


def test_the_first_glance_at_a_title_is_a_bookmark_since_there_is_none_to_lose() -> None:
    assert shown(session(FILM, *watched(0, 0, 5))) == {"film": in_progress(FILM, 5)}


def test_what_was_jumped_over_was_not_watched() -> None:
    kept = session(FILM, *watched(0, 0, 200))
    jumped = then(watched(500, 0, 10), "seeked", 0, from_ms=10_000)
    jumped[-1] = Moment(2, jumped[-1].at_ms, "seeked", 400_000, {"from_ms": 10_000})
    assert shown(kept, session(FILM, *jumped, number=1)) == {"film": in_progress(FILM, 200)}


def test_what_is_seen_twice_counts_once() -> None:
    assert union_ms([(0, 10), (5, 15), (20, 30), (0, 3)]) == 25


def test_a_film_is_complete_at_its_credits_and_gone() -> None:
    assert shown(session(FILM, *watched(0, 0, 500))) == {}


def test_a_film_without_a_marker_is_complete_at_nine_tenths() -> None:
    assert shown(session(UNMARKED, *watched(0, 0, 539))) == {"unmarked": in_progress(UNMARKED, 539)}
    assert shown(session(UNMARKED, *watched(0, 0, 540))) == {}


def test_a_title_under_five_minutes_never_resumes() -> None:
    assert shown(session(SHORT, *watched(0, 0, 60))) == {}


def test_a_completed_episode_offers_the_next_from_its_beginning() -> None:
    assert shown(session(FIRST, *watched(0, 0, 380))) == {"series": Shown("first", "next_episode", 0, "second")}


def test_a_series_whose_last_episode_is_complete_has_no_row() -> None:
    assert shown(session(FIRST, *watched(0, 0, 380)), session(SECOND, *watched(900, 0, 380), number=1)) == {}


def test_a_fatal_error_changes_nothing() -> None:
    moments = then(watched(0, 0, 100), "error", 5, code="DRM", fatal=True)
    moments[-1] = Moment(2, moments[-1].at_ms, "error", 0, moments[-1].facts)
    assert shown(session(FILM, *moments)) == {"film": in_progress(FILM, 100)}


def test_within_a_session_seq_decides_in_whatever_order_events_came() -> None:
    assert shown(session(FILM, *reversed(watched(0, 0, 100, 200)))) == {"film": in_progress(FILM, 200)}


def test_what_a_lost_report_said_shows_in_where_the_playhead_is() -> None:
    paused = Moment(1, 10_000, "paused", 10_000)
    resumed_unheard = [
        *watched(0, 0),
        paused,
        Moment(3, 40_000, "heartbeat", 20_000),
        Moment(4, 50_000, "stopped", 30_000),
    ]
    assert watched_ms(session(FILM, *resumed_unheard)) == 20_000
    sought_unheard = [
        *watched(0, 0, 10),
        Moment(3, 20_000, "heartbeat", 300_000),
        Moment(4, 30_000, "stopped", 310_000),
    ]
    assert watched_ms(session(FILM, *sought_unheard)) == 20_000
