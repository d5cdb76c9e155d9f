"""Adding up a version: what its aggregates hold is computed once, from all rows of its source, when these are there.

While a version is built only its source is folded (keeping.py). add_up() ends that in one transaction, under the locks
of the version's own checkpoints: whoever is killed in it leaves a version that is being built, and whoever folds into
it next sees that its aggregates are to be kept in step from now on.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from asyncpg.cursor import Cursor

from infra.postgres import Connection
from infra.settings import Settings
from projections.aggregating import Sums
from projections.errors import ProjectionError, RecordRefused
from projections.store import Checkpoints
from projections.stores.postgres import PostgresRound, PostgresStore
from projections.stores.postgres_writing import add_up as write
from projections.versions import registry
from projections.versions.groups import Group, projection_of
from projections.versions.registry import State, Version

COUNT_SWAP: Final = "update projection_checkpoint set swaps = swaps + 1 where projection = $1"

Breathe = Callable[[int], Awaitable[None]]
"""Called after so many rows of the source: may wait, and may raise to have it done later."""


class CannotBeAddedUp(ProjectionError):
    """A row of the source from which an aggregate cannot be made."""


async def add_up(
    store: PostgresStore, group: Group, version: Version, checkpoints: Checkpoints, settings: Settings, breathe: Breathe
) -> None:
    """Fill the aggregates of a version that is being built; nothing if somebody else has. `checkpoints`: its own, all
    of them. Raises CannotBeAddedUp, and what `breathe` raises; then nothing has changed.
    """
    async with store.round() as round_:
        await round_.checkpoints(checkpoints)
        now = await registry.one(round_.connection, version.view, version.version)
        if now.state is not State.BUILDING:
            return
        adding = _Adding(store, round_, group, settings)
        await adding.empty(group.aggregates)  # a release that kept them in step from the beginning may have begun
        async for count in adding.rows():
            await breathe(count)
        await _end_building(round_, now)


async def begin_anew(
    store: PostgresStore, group: Group, version: Version, checkpoints: Checkpoints, settings: Settings
) -> None:
    """Have a version without rows at these checkpoints, its aggregates in step from there on: so whatever record is
    behind what cannot be added up is set aside as the projection does it. Nothing if it is not being built any more.
    """
    async with store.round() as round_:
        held = await round_.checkpoints(checkpoints)
        now = await registry.one(round_.connection, version.view, version.version)
        if now.state is not State.BUILDING:
            return
        await _Adding(store, round_, group, settings).empty(group.views)
        await round_.move(held, checkpoints)
        await registry.note(round_.connection, now, records_set_aside=0)
        await _end_building(round_, now)


async def _end_building(round_: PostgresRound, version: Version) -> None:
    await round_.connection.execute(COUNT_SWAP, projection_of(version.view, version.version))
    await registry.move(round_.connection, version, State.CATCHING_UP)


class _Adding:
    """One pass over the source."""

    def __init__(self, store: PostgresStore, round_: PostgresRound, group: Group, settings: Settings) -> None:
        self._store = store
        self._connection: Connection = round_.connection
        self._source = store.table(group.source)
        self._sums = [Sums(view) for view in group.aggregates]
        self._rows_max = settings.rebuild_sums_max_rows
        self._chunk = settings.rebuild_sums_chunk_rows
        self._timeout_s = settings.rebuild_statement_timeout_s

    async def empty(self, views: tuple[Any, ...]) -> None:
        """Delete all that is in these views' tables."""
        for view in views:
            await self._connection.execute(f"delete from {self._store.table(view).stored_as}", timeout=self._timeout_s)

    async def rows(self) -> AsyncIterator[int]:
        """Add up the source in chunks; the rows of each. Raises CannotBeAddedUp."""
        cursor: Cursor[Any] = await self._connection.cursor(self._source.scan, timeout=self._timeout_s)
        while chunk := await cursor.fetch(self._chunk, timeout=self._timeout_s):
            for record in chunk:
                self._put(record)
            if sum(len(sums.rows) for sums in self._sums) > self._rows_max:
                await self._write()
            yield len(chunk)
        await self._write()

    def _put(self, record: Any) -> None:
        row = self._source.row_of(record)
        for sums in self._sums:
            try:
                sums.put(row)
            except Exception as error:  # an aggregate may raise anything
                raise CannotBeAddedUp(f"{sums.view.name} of {record[0]}: {error!r}") from error

    async def _write(self) -> None:
        for sums in self._sums:
            try:
                await write(self._connection, sums.view, self._store.table(sums.view), sums.rows)
            except RecordRefused as refusal:
                raise CannotBeAddedUp(f"{refusal.view}: {refusal.detail}") from refusal
            sums.rows.clear()
