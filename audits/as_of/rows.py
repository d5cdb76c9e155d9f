"""Rows of a view as of a cut: its own fold, run over what concerns the rows that are asked for, as projections run it.
Pure; memory holds the rows that are asked for and the newest events that made them, each at most so many.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from audits.as_of.cuts import Decisive, Fact
from audits.as_of.keys import Wanted
from projections.folding import Keyed, fold_series
from projections.slabs import Taken
from projections.views import AggregateView, KeyedView, SeriesView, View


class TooManyRows(ValueError):
    """More rows have such a key than an answer may hold."""


class NotByKey(ValueError):
    """What a view holds is not folded from the events of a key alone."""


class Bounds(NamedTuple):
    """How much an answer holds: rows, and the events that made them; of these the newest."""

    rows: int = 1_000
    events: int = 1_000


class _Place(msgspec.Struct, frozen=True, gc=False):
    """What folding looks at of a record, when it comes from history."""

    offset: int
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Folding(ABC):
    """Takes facts one after the other. `rows`: what there is by then, by key; `changes`: how many events changed it.
    `failed`: what the fold raised on, with the event's place: a projection sets it aside, and passes it over.
    """

    def __init__(self, view: View[Any], bounds: Bounds) -> None:
        self.view = view
        self.changes = 0
        self.failed: list[tuple[str, str]] = []
        self._bounds = bounds
        self._events: list[Decisive] = []
        self._taken = frozenset(view.events)

    @property
    @abstractmethod
    def rows(self) -> list[Any]:
        """The rows that there are."""

    @property
    def events(self) -> tuple[Decisive, ...]:
        """What made the rows."""
        return tuple(self._events[-self._bounds.events :])

    def take(self, fact: Fact) -> None:
        """Fold an event in, if it concerns a row that is asked for. Raises TooManyRows."""
        if type(fact.recorded.data) not in self._taken:
            return
        if self._changes(Taken(fact.partition, _Place(fact.offset), fact.recorded), fact):
            self._note(Decisive.of(fact, self.view.name))
        if len(self.rows) > self._bounds.rows:
            raise TooManyRows(
                f"more than {self._bounds.rows} rows of {self.view.name} have this key: name more of it, or have the "
                f"whole view as it was: playhead views rebuild {self.view.name} --as-of ..."
            )

    @abstractmethod
    def _changes(self, taken: Taken, fact: Fact) -> bool: ...

    def _note(self, event: Decisive) -> None:
        self.changes += 1
        self._events.append(event)
        if len(self._events) > 2 * self._bounds.events:
            del self._events[: -self._bounds.events]


class KeyedFolding(Folding):
    """Of a keyed view."""

    def __init__(self, view: KeyedView[Any, Any], wanted: Wanted, bounds: Bounds) -> None:
        super().__init__(view, bounds)
        self.by_key: dict[Any, Any] = {}
        self._keyed = view
        self._wanted = wanted

    @property
    def rows(self) -> list[Any]:
        """See Folding."""
        return [*self.by_key.values()]

    def _changes(self, taken: Taken, fact: Fact) -> bool:
        keyed = Keyed(self._keyed, [taken])
        if not all(map(self._wanted, keyed.keys)):
            return False
        folded = keyed.fold({key: row for key in keyed.keys if (row := self.by_key.get(key)) is not None})
        self.failed += [(str(fact.position), said) for _, said in folded.failed]
        for key, (row, _) in folded.rows.items():
            self.by_key.pop(key, None)
            if row is not None:
                self.by_key[key] = row
        return bool(folded.rows)


class SeriesFolding(Folding):
    """Of a time series: of two writes to a cell the one with the higher timestamp stays, and of one timestamp the
    larger value, as Cassandra has it.
    """

    def __init__(self, view: SeriesView[Any], wanted: Wanted, bounds: Bounds) -> None:
        super().__init__(view, bounds)
        self._series = view
        self._wanted = wanted
        self._cells: dict[Any, dict[str, tuple[int, Any]]] = {}

    @property
    def rows(self) -> list[Any]:
        """See Folding."""
        return [{name: value for name, (_, value) in cells.items()} for cells in self._cells.values()]

    def _changes(self, taken: Taken, fact: Fact) -> bool:
        folded = fold_series(self._series, [taken])
        self.failed += [(str(fact.position), said) for _, said in folded.failed]
        written = [self._write(one.row, one.timestamp_us) for one in folded.rows]
        return any(written)

    def _write(self, row: Any, timestamp_us: int) -> bool:
        key = tuple(getattr(row, name) for name in (*self._series.bucket, *self._series.key))
        if not self._wanted(key):
            return False
        cells = self._cells.setdefault(key, {})
        newer = {
            name: (timestamp_us, value)
            for name in self._series.row.__struct_fields__
            if (value := getattr(row, name)) is not None and (name not in cells or (timestamp_us, value) > cells[name])
        }
        changed = any(name not in cells or cells[name][1] != cell[1] for name, cell in newer.items())
        cells.update(newer)
        return changed


def folding(view: View[Any], wanted: Wanted, bounds: Bounds = Bounds()) -> Folding:
    """What folds a view by key. Raises NotByKey."""
    check_by_key(view)
    if isinstance(view, KeyedView):
        return KeyedFolding(view, wanted, bounds)
    assert isinstance(view, SeriesView)
    return SeriesFolding(view, wanted, bounds)


def check_by_key(view: View[Any]) -> None:
    """Raises NotByKey of a view whose rows are not made of the events of a key."""
    if isinstance(view, AggregateView):
        raise NotByKey(
            f"{view.name} is added up of all rows of {view.source.name}, not folded from the events of a key: have it "
            f"built as it was, with `playhead views rebuild {view.source.name} --as-of ...`"
        )


def folded(view: View[Any], facts: Iterable[Fact], wanted: Wanted, bounds: Bounds = Bounds()) -> Folding:
    """What facts come to, in their order. Raises NotByKey, TooManyRows."""
    begun = folding(view, wanted, bounds)
    for fact in facts:
        begun.take(fact)
    return begun
