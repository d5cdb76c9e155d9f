"""An event of the history: its bytes, where it is, and what its envelope says."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from audits.sources import Source
from events.envelope import Event, Recorded
from events.registry import REGISTRY
from events.topics import TOPICS, Lane
from infra.archive.records import Attributes, envelope_of
from infra.positions import Position

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
RELAYED: Final = frozenset(topic.name for topic in TOPICS if topic.lane is Lane.LOG)
"""Topics whose records have a position in the event log, by which they are recognised when they come again."""


class HistoryEvent(msgspec.Struct, gc=False):
    """One record of the history. `offset`: Kafka's, None for what only the log holds yet. `position`: the log's, None
    where it is no relayed record. `history_time_us`: microseconds since 1970; within a partition it never runs
    backwards. `value`: the very bytes, empty for a record without any. What the envelope says is read from them when it
    is asked for, None where they cannot be decoded. `is_replayed`: marked as a replay, which no view takes (ADR 28).
    """

    source: Source
    topic: str
    partition: int
    offset: int | None
    position: int | None
    history_time_us: int
    key: bytes | None
    value: bytes
    _attributes: Attributes | None = None
    is_replayed: bool = False

    @property
    def envelope(self) -> Attributes:
        """What the envelope says; nothing but None where it cannot be decoded."""
        if self._attributes is None:
            self._attributes = envelope_of(self.value)
        return self._attributes

    @property
    def place(self) -> str:
        """The position token (infra/positions.py), which a query waits by; of a record of a relayed topic that no relay
        wrote, `topic:partition:@offset`."""
        if self.position is not None:
            return str(Position(self.topic, self.partition, self.position))
        assert self.offset is not None
        if self.topic in RELAYED:
            return f"{self.topic}:{self.partition}:@{self.offset}"
        return str(Position(self.topic, self.partition, self.offset))

    @property
    def history_time(self) -> datetime:
        """When it was recorded, as history orders it."""
        return moment_of(self.history_time_us)

    @property
    def is_undecodable(self) -> bool:
        """Whether its bytes are no envelope."""
        return self.envelope.id is None

    @property
    def id(self) -> str | None:
        """The event's id."""
        return self.envelope.id

    @property
    def type(self) -> str | None:
        """Its type on the wire."""
        return self.envelope.type

    @property
    def stream(self) -> str | None:
        """Its subject: the stream, or of playback the session."""
        return self.envelope.subject

    @property
    def time(self) -> datetime | None:
        """When it happened."""
        return self.envelope.time

    @property
    def recorded_time(self) -> datetime | None:
        """When Playhead took it."""
        return self.envelope.recordedtime

    @property
    def sequence(self) -> int | None:
        """Its version in its stream."""
        return self.envelope.sequence

    @property
    def correlation_id(self) -> str | None:
        """What it belongs to: the request."""
        return self.envelope.correlationid

    @property
    def causation_id(self) -> str | None:
        """The event that it followed from."""
        return self.envelope.causationid

    @property
    def principal(self) -> str | None:
        """Who did it."""
        return self.envelope.principal

    def decoded(self) -> Recorded[Event]:
        """As the class that deciders and views fold. Raises UnknownEventType, msgspec.DecodeError, ValidationError."""
        return REGISTRY.decode(self.value)


def moment_of(microseconds: int) -> datetime:
    """Microseconds since 1970 as a moment, without the rounding of floats."""
    return EPOCH + microseconds * MICROSECOND


def microseconds_of(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND
