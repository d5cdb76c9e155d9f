"""What operators decided about dead letters, in Postgres. A table of its own: what projections say of a letter comes
from another topic, and a row is written by one partition alone.
"""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.operations import DeadLetterDiscarded, DeadLetterRetried, LetterDecision
from events.registry import members
from events.topics import OPERATIONS
from projections.views import KeyedView


class DeadLetterDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A row: the last decision, by whom, when and why. `retries`: how often the letter was tried again."""

    letter_id: str
    retries: int
    is_discarded: bool
    decided_at: datetime
    decided_by: str
    reason: str | None


class DeadLetterDecisions(KeyedView[DeadLetterDecision, str]):
    """One row for each letter that somebody decided about."""

    name = "operations_dead_letter_decisions"
    row = DeadLetterDecision
    topics = (OPERATIONS,)
    events = members(LetterDecision)

    def key(self, recorded: Recorded[Event]) -> str:
        """The letter."""
        event = recorded.data
        assert isinstance(event, DeadLetterRetried | DeadLetterDiscarded)
        return event.letter_id

    def project(self, row: DeadLetterDecision | None, recorded: Recorded[Event]) -> DeadLetterDecision | None:
        """The decision."""
        event = recorded.data
        assert isinstance(event, DeadLetterRetried | DeadLetterDiscarded)
        retries = row.retries if row else 0
        return DeadLetterDecision(
            letter_id=event.letter_id,
            retries=event.attempt if isinstance(event, DeadLetterRetried) else retries,
            is_discarded=isinstance(event, DeadLetterDiscarded),
            decided_at=recorded.envelope.time,
            decided_by=recorded.envelope.principal or "",
            reason=event.reason,
        )
