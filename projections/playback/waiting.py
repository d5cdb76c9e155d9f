"""Folds numbered points in their order, whatever order they come in: those ahead of a hole wait for it.

Knows nothing of what is folded. What is known so far is always folded wholly, holes skipped, so that the state is right
for the points that there are; when a hole is filled it is folded again from there.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import reduce
from operator import itemgetter
from typing import Final, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from projections.playback.intervals import NOTHING, Intervals, with_interval, without

S = TypeVar("S")
P = TypeVar("P")

MOST_GIVEN_UP: Final = 500
"""Runs of missing numbers that are remembered of one fold, so that what still comes for them counts."""

_seq = itemgetter(0)


class InOrder(msgspec.Struct, Generic[S, P], frozen=True, array_like=True, gc=False):
    """A fold. `next_seq`: the lowest number that it waits for. `state`: of all points known. `waiting`: those above a
    hole, by number. `settled`: the state before the hole, while there is one. `given_up`: runs of numbers, from..to
    without to, that came too late to be folded or have not come.
    """

    next_seq: int
    state: S
    waiting: tuple[tuple[int, P], ...] = ()
    settled: S | None = None
    given_up: Intervals = NOTHING


def take(held: InOrder[S, P], seq: int, point: P, evolve: Callable[[S, P], S], most: int) -> InOrder[S, P] | None:
    """The fold after one more point; None when it was taken before.

    While more than `most` wait, the lowest hole is given up: what comes for it later is noted and not folded.
    """
    if seq == held.next_seq and not held.waiting:  # in order, as nearly all come
        return InOrder(seq + 1, evolve(held.state, point), (), None, held.given_up)
    if seq < held.next_seq:
        left = without(held.given_up, seq)
        return None if left is None else replace(held, given_up=left)
    place = bisect_left(held.waiting, seq, key=_seq)
    if place < len(held.waiting) and held.waiting[place][0] == seq:
        return None
    settled = _settled(held, (*held.waiting[:place], (seq, point), *held.waiting[place:]), evolve, most)
    if not settled.waiting:
        return settled
    newest = place == len(held.waiting)
    state = evolve(held.state, point) if newest else _folded(settled.state, settled.waiting, evolve)
    return replace(settled, state=state, settled=settled.state)


def _settled(
    held: InOrder[S, P], waiting: tuple[tuple[int, P], ...], evolve: Callable[[S, P], S], most: int
) -> InOrder[S, P]:
    """What needs to wait no more is folded; `state` is the one before the hole."""
    next_seq, given_up, due = held.next_seq, held.given_up, 0
    for seq, _ in waiting:
        if seq != next_seq:
            if len(waiting) - due <= most:
                break
            given_up = with_interval(given_up, next_seq, seq, most=MOST_GIVEN_UP)
        next_seq, due = seq + 1, due + 1
    before = held.state if held.settled is None else held.settled
    return InOrder(next_seq, _folded(before, waiting[:due], evolve), waiting[due:], None, given_up)


def _folded(state: S, points: Sequence[tuple[int, P]], evolve: Callable[[S, P], S]) -> S:
    return reduce(lambda reached, numbered: evolve(reached, numbered[1]), points, state)
