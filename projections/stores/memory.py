"""Views in memory: a store that does what the others do, for tests of folds and of the engine."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from functools import partial
from typing import Any, ClassVar

from projections.aggregating import is_empty, net_changes, plus
from projections.errors import StoreEmptied
from projections.folding import Keyed, fold_series
from projections.slabs import Checkpoint, Partition, Taken
from projections.store import Checkpoints, Ready
from projections.views import AggregateView, KeyedView, SeriesView, Stamped

AnyView = KeyedView[Any, Any] | SeriesView[Any] | AggregateView[Any, Any]


class MemoryStore:
    """Rows by view and key. A time series' cells are by column, the highest timestamp staying, and of one timestamp the
    largest value, as Cassandra has it.
    """

    name = "memory"
    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(self, aggregates: Sequence[AggregateView[Any, Any]] = ()) -> None:
        self._aggregates = aggregates
        self.rows: dict[str, dict[Any, Any]] = {}
        self.held: dict[Partition, Checkpoint] = {}
        self.rounds = 0

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to close."""

    @asynccontextmanager
    async def round(self) -> AsyncIterator["MemoryRound"]:
        """A transaction: what its body did is undone when it raises."""
        rows, held = {view: copy(table) for view, table in self.rows.items()}, copy(self.held)
        self.rounds += 1
        try:
            yield MemoryRound(self)
        except BaseException:
            self.rows, self.held = rows, held
            raise

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints that there are."""
        return {partition: self.held[partition] for partition in partitions if partition in self.held}

    async def begin(self, checkpoints: Checkpoints) -> None:
        """Set checkpoints."""
        self.held.update(checkpoints)

    async def save(self, view: KeyedView[Any, Any], changed: Mapping[Any, tuple[Any, int]]) -> int:
        """Write rows; None removes one."""
        table = self.rows.setdefault(view.name, {})
        for aggregate in self._aggregates:
            if isinstance(view, aggregate.source):
                self._add_up(aggregate, net_changes(aggregate, table, changed))
        for key, (row, _) in changed.items():
            table[key] = row
            if row is None:
                del table[key]
        return len(changed)

    def _add_up(self, view: AggregateView[Any, Any], net: Mapping[str, Any]) -> None:
        table = self.rows.setdefault(view.name, {})
        for key, gain in net.items():
            table[key] = plus(view, table.get(key), gain)
            if is_empty(view, table[key]):
                del table[key]

    async def append(self, view: SeriesView[Any], rows: Sequence[Stamped[Any]]) -> int:
        """Write cells, each unless it holds a higher timestamp, or a larger value of the same."""
        table = self.rows.setdefault(view.name, {})
        for stamped in rows:
            key = tuple(getattr(stamped.row, field) for field in (*view.bucket, *view.key))
            cells = table[key] = dict(table.get(key, {}))
            for field in view.row.__struct_fields__:
                value = getattr(stamped.row, field)
                if value is not None and (field not in cells or (stamped.timestamp_us, value) > cells[field]):
                    cells[field] = (stamped.timestamp_us, value)
        return len(rows)


class MemoryRound:
    """See Round."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def checkpoints(self, partitions: Collection[Partition]) -> Checkpoints:
        """The checkpoints of these partitions."""
        if missing := set(partitions) - self._store.held.keys():
            raise StoreEmptied(sorted(missing))
        return await self._store.checkpoints(partitions)

    async def fold(self, view: AnyView, taken: Sequence[Taken]) -> Ready:
        """Fold; nothing is written yet."""
        if isinstance(view, KeyedView):
            keyed = Keyed(view, taken)
            folded = keyed.fold(self._store.rows.get(view.name, {}))
            return Ready(folded.failed, partial(self._store.save, view, folded.rows))
        assert isinstance(view, SeriesView), "aggregates take no events"
        series = fold_series(view, taken)
        return Ready(series.failed, partial(self._store.append, view, series.rows))

    async def move(self, before: Checkpoints, after: Checkpoints) -> None:
        """Set checkpoints."""
        self._store.held.update(after)
