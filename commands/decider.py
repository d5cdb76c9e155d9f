"""The shape of every context's rules: a value and two pure functions."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, reduce
from typing import Generic, TypeVar

import msgspec

from events.envelope import Event

S = TypeVar("S")
C = TypeVar("C")


@dataclass(frozen=True)
class Decider(Generic[C, S]):
    """decide(command, state, now) -> events, none when it is already so, or a Refusal; evolve(state, event) -> state.

    `snapshots`: whether its streams may grow so long that their state is worth keeping.
    """

    initial: S
    decide: Callable[[C, S, datetime], list[Event]]
    evolve: Callable[[S, Event], S]
    snapshots: bool = False

    def state_after(self, events: Iterable[Event], since: S) -> S:
        """The state that events lead to."""
        return reduce(self.evolve, events, since)

    @cached_property
    def digest(self) -> bytes | None:
        """What a kept state must carry to be read back: a digest of the state's shape and of the module that folds it,
        so that a snapshot of other code is never trusted. None: no snapshots."""
        if not self.snapshots:
            return None
        code = inspect.getsource(sys.modules[self.evolve.__module__])
        return hashlib.sha256(f"{msgspec.inspect.type_info(type(self.initial))!r}\n{code}".encode()).digest()

    def freeze(self, state: S) -> bytes:
        """A state as a snapshot keeps it."""
        return msgspec.msgpack.encode(state)

    def thaw(self, kept: bytes) -> S:
        """A state that was kept."""
        return msgspec.msgpack.decode(kept, type=type(self.initial))


def in_turn(decider: Decider[C, S]) -> Decider[Sequence[C], S]:
    """A decider that takes several commands at once: each is decided on what those before it led to, and all are
    recorded or none. Its state is that of the other, snapshots included.
    """

    def decide(commands: Sequence[C], state: S, now: datetime) -> list[Event]:
        events: list[Event] = []
        for command in commands:
            decided = decider.decide(command, state, now)
            state = decider.state_after(decided, state)
            events += decided
        return events

    return Decider(decider.initial, decide, decider.evolve, snapshots=decider.snapshots)
