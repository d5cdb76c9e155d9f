"""A cut through the history: which events count, and the events as an answer names them. Pure (ADR 30).

Two times are meant by "as of": by when Playhead had taken an event (`known_at`), and by when what it tells had happened
(`happened_by`). They differ for what is reported late or imported; of what Playhead decides itself they are one.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from infra.positions import Position
from projections.slabs import Partition


class Fact(msgspec.Struct, frozen=True, gc=False):
    """An event of the history, with its place there. `offset`: Kafka's, or -1 of an event that was read in the log.
    `history_time`: when Playhead took it, never running backwards within its partition.
    """

    position: Position
    offset: int
    history_time: datetime
    recorded: Recorded[Event]

    @property
    def partition(self) -> Partition:
        """Where it stands."""
        return Partition(self.position.topic, self.position.partition)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Which events count: those that were taken by `known_at`, that tell what had happened by `happened_by`, and up to
    and including `positions`, where these name their partition. All that is None or not named sets no bound.
    """

    known_at: datetime | None = None
    happened_by: datetime | None = None
    positions: tuple[Position, ...] = ()

    def holds(self, fact: Fact) -> bool:
        """Whether an event counts."""
        known = self.known_at is None or fact.history_time <= self.known_at
        return known and self._has_happened(fact) and self._is_reached(fact)

    def of(self, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Those that count, in their order."""
        return filter(self.holds, facts)

    def _has_happened(self, fact: Fact) -> bool:
        return self.happened_by is None or fact.recorded.envelope.time <= self.happened_by

    def _is_reached(self, fact: Fact) -> bool:
        at = fact.position
        ends = [end.position for end in self.positions if end[:2] == at[:2]]
        return not ends or at.position <= max(ends)


class Decisive(msgspec.Struct, frozen=True, kw_only=True):
    """An event as an answer names it. `about`: which part of the answer it made: a stream's state, a view's row."""

    about: str
    id: str
    type: str
    time: datetime
    recorded_time: datetime
    actor: str | None
    place: str
    stream: str

    @classmethod
    def of(cls, fact: Fact, about: str) -> "Decisive":
        """The event of a fact."""
        envelope = fact.recorded.envelope
        return cls(
            about=about,
            id=envelope.id,
            type=envelope.type,
            time=envelope.time,
            recorded_time=envelope.recordedtime,
            actor=envelope.principal,
            place=str(fact.position),
            stream=envelope.subject,
        )


def in_order(events: Iterable[Decisive]) -> tuple[Decisive, ...]:
    """By when they were recorded; of one moment as they came."""
    return tuple(sorted(events, key=lambda event: event.recorded_time))
