"""What changed rows of a view mean for the aggregates of them: pure. What a row gave before is taken back and what it
gives now is put in, so that the order of events does not matter, and a late one corrects what it belongs to.
"""

from collections.abc import Iterable, Mapping
from operator import add, sub
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from projections.views import AggregateView

R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)
TAKEN_BACK: Final = -1
PUT_IN: Final = 1


def net_changes(
    view: AggregateView[R, S], before: Mapping[str, S], after: Mapping[str, tuple[S | None, int]]
) -> dict[str, R]:
    """By key of the aggregate, what its row gains (or loses) when these rows of its source become those."""
    net: dict[str, R] = {}
    for key, (row, _) in after.items():
        held = before.get(key)
        if held is not None and row is not None and view.gives_the_same(held, row):
            continue
        gave, gives = _contributions(view, held), _contributions(view, row)
        if gave == gives:
            continue
        for of_key, one in gives.items():
            taken = gave.get(of_key)
            if taken != one:
                change = one if taken is None else plus(view, one, taken, TAKEN_BACK)
                net[of_key] = plus(view, net[of_key], change) if of_key in net else change
        for of_key in gave.keys() - gives.keys():
            net[of_key] = plus(view, net.get(of_key), gave[of_key], TAKEN_BACK)
    return net


class Sums(Generic[R, S]):
    """What the rows of an aggregate gain from rows of its source, each given once. `rows`: that, by key."""

    def __init__(self, view: AggregateView[R, S]) -> None:
        self.view = view
        self.rows: dict[str, R] = {}

    def put(self, row: S) -> None:
        """Add what a row gives."""
        held = self.rows
        for key, one in _contributions(self.view, row).items():
            held[key] = plus(self.view, held[key], one) if key in held else one


def plus(view: AggregateView[R, S], held: R | None, given: R, sign: int = PUT_IN) -> R:
    """A row with another one added to it, or taken from it. The largest ever given stays, whatever is taken back."""
    base = held or emptied(view, given)
    changed = {name: _sum(getattr(base, name), value, sign) for name in view.sums if (value := getattr(given, name))}
    for name in view.maxima:
        changed[name] = _largest(getattr(base, name), getattr(given, name))
    return replace(base, **changed)


def is_empty(view: AggregateView[R, S], row: R) -> bool:
    """Whether everything that was put into a row has been taken back."""
    return not any(any(value) if isinstance(value, tuple) else value for value in _values(row, view.sums))


def grows(view: AggregateView[R, S], gain: R) -> bool:
    """Whether a row surely has something in it once it has gained this. Nothing is ever added up to less than 0."""
    return any(value > 0 for value in _values(gain, view.sums))


def _contributions(view: AggregateView[R, S], row: S | None) -> dict[str, R]:
    if row is None:
        return {}
    key = view.row.__struct_fields__[0]
    return {getattr(one, key): one for one in view.contributions(row)}


def emptied(view: AggregateView[R, S], row: R) -> R:
    """A row of the same key into which nothing has been put."""
    nothing: dict[str, Any] = {
        name: type(value)(bytes(len(value)) if isinstance(value, tuple | bytes) else 0)
        for name, value in zip((*view.sums, *view.maxima), _values(row, (*view.sums, *view.maxima)), strict=True)
    }
    return replace(row, **nothing)


def _values(row: msgspec.Struct, names: Iterable[str]) -> Iterable[Any]:
    return (getattr(row, name) for name in names)


def _sum(held: Any, given: Any, sign: int) -> Any:
    if isinstance(given, tuple):
        return tuple(map(add if sign == PUT_IN else sub, held, given))
    return held + sign * given


def _largest(held: Any, given: Any) -> Any:
    if held == given:
        return held
    if isinstance(given, bytes):  # of one register, nearly always: the others need no look
        begin, end = len(given) - len(given.lstrip(b"\0")), len(given.rstrip(b"\0"))
        return held[:begin] + bytes(map(max, held[begin:end], given[begin:end])) + held[end:] if begin < end else held
    return type(held)(map(max, held, given))
