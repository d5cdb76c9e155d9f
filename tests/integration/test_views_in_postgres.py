"""Views in a real Postgres are what they are in memory, on histories that are made up: its SQL writes, reads, adds up
and takes back as the store does that the folds are tested on.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.postgres import Connection, Pool
from infra.settings import Settings
from projections.app import postgres_views
from projections.engine import Engine
from projections.slabs import Checkpoint, Partition
from projections.stores.memory import AnyView, MemoryStore
from projections.stores.postgres import PostgresStore, PostgresView
from projections.versions.keeping import Swaps
from projections.versions.tables import create_like
from projections.views import AggregateView, ListView
from tests.projections.folds import FakeLetters
from tests.projections.generated.delivering import Rows, log_of, rounds
from tests.projections.test_view_properties import IN_POSTGRES, TOGETHER, histories, made_up

pytestmark = pytest.mark.integration

MADE_UP: Final = "postgres/made-up"
TOPICS: Final = [topics for topics, views in TOGETHER.items() if any(view in IN_POSTGRES for view in views)]


class KeptByTest:
    """Tables of a test's own, that nobody swaps."""

    name = MADE_UP
    skipped: frozenset[str] = frozenset()
    missing: ClassVar[Mapping[str, str]] = {}

    def __init__(self, views: Sequence[PostgresView]) -> None:
        self.tables = {view.name: f"{view.name}__made_up" for view in views}

    async def open(self, connection: Connection) -> None:
        """Nothing to prepare."""

    async def agree(self, connection: Connection, swaps: Swaps) -> bool:
        """Nothing changes."""
        return False

    async def say(self, connection: Connection) -> None:
        """To nobody."""


class InPostgres:
    """All views in tables like the live ones."""

    def __init__(self, views: Sequence[PostgresView], store: PostgresStore, pool: Pool) -> None:
        self.views = views
        self.store = store
        self._pool = pool

    async def begin(self, partitions: Sequence[Partition]) -> None:
        """With nothing."""
        await self._pool.execute(f"truncate {', '.join(self.store.table(view).stored_as for view in self.views)}")
        await self._pool.execute("delete from projection_checkpoint where projection = $1", MADE_UP)
        await self.store.begin({partition: Checkpoint(0, -1) for partition in partitions})

    async def rows(self, views: Sequence[PostgresView]) -> Rows:
        """What the tables hold, as the store reads it."""
        return {view.name: await self._rows_of(view) for view in views}

    async def _rows_of(self, view: PostgresView) -> dict[Any, Any]:
        table = self.store.table(view)
        key = next(iter(table.columns))
        keys = [record[0] for record in await self._pool.fetch(f"select distinct {key} from {table.stored_as}")]
        return {record[0]: table.row_of(record) for record in await self._pool.fetch(table.select, keys)}


@pytest.fixture(scope="module")
async def in_postgres(live: Settings, postgres: Pool) -> AsyncIterator[InPostgres]:
    views = postgres_views(live)
    keeping = KeptByTest(views)
    async with postgres.acquire() as connection:
        for name, table in keeping.tables.items():
            await connection.execute(f"drop table if exists {table}")
            await create_like(connection, name, table)  # type: ignore[arg-type]  # a proxy of a connection
    store = PostgresStore(live, views, keeping)
    await store.open()
    yield InPostgres(views, store, postgres)
    await store.close()
    await postgres.execute(f"drop table {', '.join(keeping.tables.values())}")
    await postgres.execute("delete from projection_checkpoint where projection = $1", MADE_UP)


@pytest.mark.parametrize("topics", TOPICS, ids=lambda topics: f"{topics[0]}+{len(topics) - 1}")
@settings(made_up, max_examples=4)
@given(data=st.data())
async def test_rows_are_those_of_the_store_in_memory(
    in_postgres: InPostgres, topics: tuple[str, ...], data: Any
) -> None:
    views: list[PostgresView] = [
        view for view in in_postgres.views if view.name in {each.name for each in TOGETHER[topics]}
    ]
    log = log_of(data.draw(histories(topics)))
    memory = MemoryStore([view for view in views if isinstance(view, AggregateView)])
    memory.held |= {partition: Checkpoint(0, -1) for partition in log}
    await in_postgres.begin(list(log))
    letters = FakeLetters()
    folding = [view for view in views if not isinstance(view, AggregateView)]
    engines = [Engine[Any](store, folding, letters) for store in (memory, in_postgres.store)]
    for slabs in data.draw(rounds(log)):
        for engine in engines:
            await engine.apply(slabs)
    assert letters.sent == []
    assert await in_postgres.rows(views) == {view.name: held(view, memory.rows.get(view.name, {})) for view in views}


def held(view: AnyView, rows: Mapping[Any, Any]) -> dict[Any, Any]:
    """The rows that a table can hold: a list without items has none."""
    if not isinstance(view, ListView):
        return dict(rows)
    items = view.row.__struct_fields__[1]
    return {key: row for key, row in rows.items() if getattr(row, items)}
