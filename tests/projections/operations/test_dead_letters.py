"""Dead letters: a row each."""

from projections.operations.dead_letters import DeadLetter, DeadLetters
from tests.builders import EVENING, record_dead_lettered, recorded
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
