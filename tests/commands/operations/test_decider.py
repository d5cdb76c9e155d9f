"""What is decided about a dead letter: tried again once at a time, discarded for good."""

from commands.operations.decider import DEAD_LETTER, DiscardDeadLetter, RetryDeadLetter
from commands.operations.refusals import DeadLetterIsApplied, DeadLetterIsDiscarded
from events.operations import DeadLetterDiscarded, DeadLetterRetried
from tests.spec import Spec

SPEC = Spec(DEAD_LETTER)
LETTER = "redis/playback.events/3/17"


def retried(attempt: int) -> DeadLetterRetried:
    return DeadLetterRetried(
        letter_id=LETTER,
        projection="redis",
        topic="playback.events",
        partition=3,
        offset=17,
        attempt=attempt,
        views=("continue_watching",),
        headers=(),
        body=b"{}",
    )


def retry(failed_attempt: int = 0, *, is_applied: bool = False) -> RetryDeadLetter:
    return RetryDeadLetter(retried=retried(0), failed_attempt=failed_attempt, is_applied=is_applied)


def discard(*, is_applied: bool = False) -> DiscardDeadLetter:
    return DiscardDeadLetter(letter_id=LETTER, reason="a test", is_applied=is_applied)


DISCARDED = DeadLetterDiscarded(letter_id=LETTER, reason="a test")


def test_the_first_retry_is_number_one() -> None:
    SPEC.given().when(retry()).then(retried(1))


def test_a_retry_that_is_under_way_is_not_repeated() -> None:
    SPEC.given(retried(1)).when(retry()).ignored()


def test_a_retry_that_failed_may_be_followed_by_another() -> None:
    SPEC.given(retried(1)).when(retry(failed_attempt=1)).then(retried(2))


def test_what_was_taken_is_not_tried_again() -> None:
    SPEC.given(retried(1)).when(retry(is_applied=True)).ignored()


def test_what_was_discarded_is_not_tried_again() -> None:
    SPEC.given(DISCARDED).when(retry()).refused(DeadLetterIsDiscarded)


def test_a_letter_is_discarded_with_its_reason() -> None:
    SPEC.given().when(discard()).then(DISCARDED)


def test_discarding_twice_is_ignored() -> None:
    SPEC.given(DISCARDED).when(discard()).ignored()


def test_what_was_taken_cannot_be_discarded() -> None:
    SPEC.given(retried(1)).when(discard(is_applied=True)).refused(DeadLetterIsApplied)
