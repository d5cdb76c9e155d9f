"""Dead letters in Postgres: the records of every topic and store that a projection could not take."""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.operations import RecordDeadLettered
from events.topics import DEAD_LETTERS
from projections.views import KeyedView


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `letter_id`: projection/topic/partition/offset."""

    letter_id: str
    projection: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    body: bytes
    recorded_at: datetime


class DeadLetters(KeyedView[DeadLetter, str]):
    """One row for each record and projection; a letter that is sent again says the same."""

    name = "dead_letters"
    row = DeadLetter
    topics = DEAD_LETTERS
    events = (RecordDeadLettered,)

    def key(self, recorded: Recorded[Event]) -> str:
        """The event's id, which names projection, topic, partition and offset."""
        return recorded.envelope.id

    def project(self, row: DeadLetter | None, recorded: Recorded[Event]) -> DeadLetter | None:
        """The letter."""
        event = recorded.data
        assert isinstance(event, RecordDeadLettered)
        return DeadLetter(
            letter_id=recorded.envelope.id,
            projection=event.projection,
            topic=event.topic,
            partition=event.partition,
            offset=event.offset,
            reason=event.reason,
            detail=event.detail,
            body=event.body,
            recorded_at=recorded.envelope.recordedtime,
        )
