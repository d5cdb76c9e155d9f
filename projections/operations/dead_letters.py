"""Dead letters in Postgres: the records of every topic and store that a projection could not take."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.operations import DeadLetterApplied, LetterEvent, RecordDeadLettered
from events.registry import members
from events.topics import DEAD_LETTERS
from projections.views import KeyedView


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `letter_id`: projection/topic/partition/offset. `views`: those that did not take it, none named is all.
    `attempt`: the last retry that failed, 0 before any did. `applied_attempt`: the retry that succeeded.
    `recorded_at`: of the first failure.
    """

    letter_id: str
    projection: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    body: bytes
    recorded_at: datetime
    views: tuple[str, ...] = ()
    headers: tuple[tuple[str, bytes], ...] = ()
    attempt: int = 0
    body_left: bool = False
    applied_attempt: int | None = None
    applied_at: datetime | None = None


class DeadLetters(KeyedView[DeadLetter, str]):
    """One row for each record and projection; a letter that is sent again says the same."""

    name = "dead_letters"
    row = DeadLetter
    topics = DEAD_LETTERS
    events = members(LetterEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The event's subject, which names projection, topic, partition and offset."""
        return recorded.envelope.subject

    def project(self, row: DeadLetter | None, recorded: Recorded[Event]) -> DeadLetter | None:
        """The letter, as its last attempt left it."""
        event = recorded.data
        assert isinstance(event, RecordDeadLettered | DeadLetterApplied)
        if row is not None and event.attempt < max(row.attempt, row.applied_attempt or 0):
            return row
        at = recorded.envelope.recordedtime
        if isinstance(event, DeadLetterApplied):
            return row and replace(row, applied_attempt=event.attempt, applied_at=at)
        return _letter(recorded.envelope.subject, event, row.recorded_at if row else at)


def _letter(letter_id: str, event: RecordDeadLettered, recorded_at: datetime) -> DeadLetter:
    return DeadLetter(
        letter_id=letter_id,
        projection=event.projection,
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        reason=event.reason,
        detail=event.detail,
        body=event.body,
        recorded_at=recorded_at,
        views=event.views,
        headers=event.headers,
        attempt=event.attempt,
        body_left=event.body_left,
    )
