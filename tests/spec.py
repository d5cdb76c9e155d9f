"""given(events).when(command).then(events): a decider's rules read as history, then one more command."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Generic, TypeVar

import pytest

from commands.decider import Decider
from events.envelope import Event
from events.refusals import Refusal

C = TypeVar("C")
S = TypeVar("S")

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class When(Generic[C, S]):
    """A command about to be decided."""

    decider: Decider[C, S]
    history: tuple[Event, ...]
    command: C
    now: datetime

    def decided(self) -> list[Event]:
        """The events that the command leads to."""
        state = reduce(self.decider.evolve, self.history, self.decider.initial)
        return self.decider.decide(self.command, state, self.now)

    def then(self, *expected: Event) -> None:
        """Exactly these events are recorded."""
        assert self.decided() == list(expected)

    def ignored(self) -> None:
        """It is so already: nothing is recorded, and that is a success."""
        assert self.decided() == []

    def refused(self, by: type[Refusal]) -> Refusal:
        """The command is refused, with nothing recorded; the refusal, for a closer look."""
        with pytest.raises(by) as caught:
            self.decided()
        assert caught.value.detail
        return caught.value


@dataclass(frozen=True)
class Given(Generic[C, S]):
    """What happened before."""

    decider: Decider[C, S]
    history: tuple[Event, ...]

    def when(self, command: C, *, now: datetime = NOON) -> When[C, S]:
        """One more command."""
        return When(self.decider, self.history, command, now)


@dataclass(frozen=True)
class Spec(Generic[C, S]):
    """A decider under test."""

    decider: Decider[C, S]

    def given(self, *history: Any) -> Given[C, S]:
        """Events that happened, in order."""
        return Given(self.decider, history)
