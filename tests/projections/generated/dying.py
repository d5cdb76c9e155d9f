"""A store whose rows are written before its checkpoint, under workers that die in between."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from projections.engine import Engine
from projections.folding import Keyed
from projections.slabs import Checkpoint, Slab, Taken
from projections.store import Ready
from projections.stores.memory import AnyView, MemoryRound, MemoryStore
from projections.views import HashView
from tests.projections.folds import FakeLetters
from tests.projections.generated.delivering import Log, Rows


class RedisLikeStore(MemoryStore):
    """Rows of hashes carry the offset that they were folded to, as Redis has them."""

    def __init__(self) -> None:
        super().__init__()
        self.folded_to: dict[str, dict[Any, int]] = {}

    @asynccontextmanager
    async def round(self) -> AsyncIterator[MemoryRound]:
        """No transaction."""
        yield RedisLikeRound(self)

    async def save_hash(self, view: HashView[Any], changed: Mapping[Any, tuple[Any, int]]) -> int:
        """Rows, with their offsets."""
        self.folded_to.setdefault(view.name, {}).update({key: offset for key, (_, offset) in changed.items()})
        return await self.save(view, changed)


class RedisLikeRound(MemoryRound):
    """See Round."""

    def __init__(self, store: RedisLikeStore) -> None:
        super().__init__(store)
        self._of = store

    async def fold(self, view: AnyView, taken: Sequence[Taken]) -> Ready:
        """Records that a row was folded from are passed over."""
        if not isinstance(view, HashView):
            return await super().fold(view, taken)
        folded = Keyed(view, taken).fold(self._of.rows.get(view.name, {}), self._of.folded_to.get(view.name))
        return Ready(folded.failed, partial(self._of.save_hash, view, folded.rows))


async def rows_after_deaths(
    views: Sequence[AnyView], log: Log, given: Iterable[Sequence[Slab]], deaths: Collection[int]
) -> Rows:
    """The rows of views in Cassandra or Redis after rounds. In those of `deaths` a worker has written the rows of some
    of the records, and dies before it moves the checkpoint.
    """
    store, letters = RedisLikeStore(), FakeLetters()
    store.held |= {partition: Checkpoint(0, -1) for partition in log}
    engine = Engine[AnyView](store, views, letters)
    for number, slabs in enumerate(given):
        if number in deaths:
            held = dict(store.held)
            await engine.apply([each.halves()[0] if len(each.records) > 1 else each for each in slabs])
            store.held = held
        await engine.apply(slabs)
    assert letters.sent == []
    return {view.name: store.rows.get(view.name, {}) for view in views}
