"""The comparison finds what is missing, what is too much, and what is not the same; and says which."""

from playhead.demo.comparison import (
    SessionRow,
    compared,
    differences,
    expected_continue_watching,
    expected_history,
    expected_sessions,
    expected_timeline,
)
from playhead.demo.ledger import Ledger
from playhead.demo.watching.reference import Rules, Shown
from playhead.demo.watching.sitting import Moment, Title
from tests.demo.evenings import session, watched

RULES = Rules(60_000, 0.05, 0.9, 300_000)
FILM = Title("film", "A film", 600_000, 500_000)


def ledger() -> Ledger:
    kept = Ledger()
    granted = session(FILM)
    kept.grant(granted)
    kept.acknowledge(granted, watched(0, 0, 100, 200))
    return kept


def test_equal_rows_have_no_differences() -> None:
    assert differences("view", {"a": 1, "b": 2}, {"b": 2, "a": 1}) == ()


def test_a_missing_row_is_a_difference_with_its_key() -> None:
    [difference] = differences("view", {"a": 1, "b": 2}, {"a": 1})
    assert str(difference) == "view b: expected 2, actual no row"


def test_an_extra_row_is_a_difference_with_its_key() -> None:
    [difference] = differences("view", {"a": 1}, {"a": 1, "b": 2})
    assert str(difference) == "view b: expected no row, actual 2"


def test_a_changed_row_is_a_difference_with_both_values() -> None:
    [difference] = differences("view", {"a": SessionRow(3, 1, 200, 100)}, {"a": SessionRow(2, 1, 200, 100)})
    assert "event_count=3" in str(difference)
    assert "event_count=2" in str(difference)


def test_a_view_is_equal_only_without_differences_even_if_the_counts_are_the_same() -> None:
    assert compared("view", {"a": 1}, {"a": 1}, unit="rows", read_from="store").equal
    swapped = compared("view", {"a": 1}, {"b": 1}, unit="rows", read_from="store")
    assert (swapped.acknowledged, swapped.held, swapped.equal) == (1, 1, False)


def test_an_event_acknowledged_twice_is_expected_once() -> None:
    twice = ledger()
    twice.acknowledge(twice.sessions["session-0"], watched(0, 0, 100, 200))
    assert twice.acknowledged == 4  # the grant and three reports
    assert expected_sessions(twice) == {"session-0": SessionRow(4, 2, 200_000, 200_000)}


def test_the_grant_and_every_event_are_expected_in_the_timeline() -> None:
    positions = {"session-0#-1": 0, "session-0#0": 0, "session-0#1": 100_000, "session-0#2": 200_000}
    assert expected_timeline(ledger()) == positions


def test_history_is_expected_where_the_highest_seq_left_off() -> None:
    kept = ledger()
    kept.acknowledge(kept.sessions["session-0"], [Moment(9, 900_000, "stopped", 510_000), Moment(5, 1, "paused", 7)])
    [row] = expected_history(kept, RULES).values()
    assert (row.position_ms, row.completed) == (510_000, True)


def test_a_session_that_was_granted_and_never_reported_is_expected_where_it_was_to_begin() -> None:
    kept = Ledger()
    kept.grant(session(FILM))
    assert expected_sessions(kept) == {"session-0": SessionRow(1, -1, 0, 0)}


def test_continue_watching_is_expected_by_profile_and_shelf() -> None:
    assert expected_continue_watching(ledger(), RULES) == {"profile/film": Shown("film", "in_progress", 200_000, None)}
