"""Dead letters: a row each."""

from datetime import timedelta

from msgspec.structs import replace

from projections.operations.dead_letters import DeadLetter, DeadLetters
from tests.builders import EVENING, dead_letter_applied, record_dead_lettered, recorded
from tests.projections.folds import project

VIEW = DeadLetters()


def test_a_letter_is_a_row_that_names_its_record() -> None:
    assert project(VIEW, [record_dead_lettered()]) == DeadLetter(
        letter_id="postgres/playback.events/3/17",
        projection="postgres",
        topic="playback.events",
        partition=3,
        offset=17,
        reason="undecodable",
        detail="JSON is malformed",
        body=b"{",
        recorded_at=EVENING,
    )


def test_one_record_can_be_a_letter_of_two_stores() -> None:
    letters = [record_dead_lettered(), record_dead_lettered(projection="redis")]
    assert len({VIEW.key(recorded(letter)) for letter in letters}) == 2


def test_a_retry_that_fails_again_keeps_when_it_failed_first() -> None:
    again = record_dead_lettered(attempt=1, detail="still malformed")
    row = project(VIEW, [record_dead_lettered(), replace(again, recordedtime=EVENING + timedelta(hours=1))])
    assert (row.attempt, row.detail, row.recorded_at) == (1, "still malformed", EVENING)


def test_a_retry_that_is_applied_says_when() -> None:
    row = project(VIEW, [record_dead_lettered(), dead_letter_applied()])
    assert (row.attempt, row.applied_attempt, row.applied_at) == (0, 1, EVENING)


def test_a_letter_that_comes_again_after_its_retry_changes_nothing() -> None:
    row = project(VIEW, [record_dead_lettered(), dead_letter_applied()])
    assert project(VIEW, [record_dead_lettered()], row) is row


def test_a_retry_that_failed_after_it_was_said_to_be_applied_is_open_again() -> None:
    row = project(VIEW, [record_dead_lettered(), dead_letter_applied(), record_dead_lettered(attempt=1)])
    assert (row.attempt, row.applied_attempt, row.applied_at) == (1, None, None)


def test_what_is_applied_of_a_letter_that_is_gone_makes_no_row() -> None:
    assert project(VIEW, [dead_letter_applied()]) is None
