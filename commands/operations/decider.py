"""What is decided about a dead letter, each a stream of its own: pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from commands.decider import Decider
from commands.operations.refusals import DeadLetterIsApplied, DeadLetterIsDiscarded
from events.envelope import Event
from events.operations import DeadLetterDiscarded, DeadLetterRetried


@dataclass(frozen=True, kw_only=True)
class RetryDeadLetter:
    """Have a record tried again. `retried`: as it was set aside; its attempt is decided here. `failed_attempt`: the
    last that failed, 0 before any did. `is_applied`: the view knows of one that was taken.
    """

    retried: DeadLetterRetried
    failed_attempt: int
    is_applied: bool


@dataclass(frozen=True, kw_only=True)
class DiscardDeadLetter:
    """Have it tried never again, for a reason."""

    letter_id: str
    reason: str
    is_applied: bool


LetterCommand: TypeAlias = RetryDeadLetter | DiscardDeadLetter


class LetterState(Struct, frozen=True, kw_only=True):
    """How often a letter was tried again, and whether it was discarded."""

    retries: int = 0
    discarded: bool = False


def evolve(state: LetterState, event: Event) -> LetterState:
    """The state after an event."""
    if isinstance(event, DeadLetterRetried):
        return replace(state, retries=event.attempt)
    return replace(state, discarded=True)


def decide(command: LetterCommand, state: LetterState, now: datetime) -> list[Event]:
    """A retry that is under way, or was taken, is not repeated. Raises DeadLetterIsDiscarded, DeadLetterIsApplied."""
    match command:
        case RetryDeadLetter(retried=retried, failed_attempt=failed, is_applied=is_applied):
            if state.discarded:
                raise DeadLetterIsDiscarded(f"{retried.letter_id} was discarded, and is not tried again")
            if is_applied or state.retries > failed:
                return []
            return [replace(retried, attempt=state.retries + 1)]
        case DiscardDeadLetter(letter_id=letter_id, reason=reason, is_applied=is_applied):
            if is_applied:
                raise DeadLetterIsApplied(f"{letter_id} was tried again and taken: there is nothing to discard")
            return [] if state.discarded else [DeadLetterDiscarded(letter_id=letter_id, reason=reason)]


DEAD_LETTER: Final = Decider[LetterCommand, LetterState](LetterState(), decide, evolve)
