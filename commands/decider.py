"""The shape of every context's rules: a value and two pure functions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from events.envelope import Event

S = TypeVar("S")
C = TypeVar("C")


@dataclass(frozen=True)
class Decider(Generic[C, S]):
    """decide(command, state, now) -> events, none when it is already so, or a Refusal; evolve(state, event) ->
    state.
    """

    initial: S
    decide: Callable[[C, S, datetime], list[Event]]
    evolve: Callable[[S, Event], S]
