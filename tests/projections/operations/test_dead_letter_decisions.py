"""What operators decided about dead letters: the last decision of each."""

from projections.operations.dead_letter_decisions import DeadLetterDecision, DeadLetterDecisions
from tests.builders import EVENING, dead_letter_discarded, dead_letter_retried
from tests.projections.folds import project

LETTER = "postgres/playback.events/3/17"


def test_a_retry_is_a_decision_with_who_and_when() -> None:
    assert project(DeadLetterDecisions(), [dead_letter_retried(reason="the fold is mended")]) == DeadLetterDecision(
        letter_id=LETTER,
        retries=1,
        is_discarded=False,
        decided_at=EVENING,
        decided_by="operator-1",
        reason="the fold is mended",
    )


def test_retries_are_counted_by_their_number_and_not_by_how_often_they_are_told() -> None:
    told = [dead_letter_retried(), dead_letter_retried(attempt=2), dead_letter_retried(attempt=2)]
    assert project(DeadLetterDecisions(), told).retries == 2


def test_what_is_discarded_says_why() -> None:
    row = project(DeadLetterDecisions(), [dead_letter_retried(), dead_letter_discarded()])
    assert (row.retries, row.is_discarded, row.reason) == (1, True, "a test of ours")
