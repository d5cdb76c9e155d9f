"""The catalog's views in a real Postgres, filled by the engine as the projection fills them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from events.envelope import Envelope, Event
from events.topics import CATALOG
from infra.ids import new_id
from infra.postgres import Pool, connect_pool, migrate
from infra.settings import Settings
from projections.app import postgres_views
from projections.engine import Engine
from projections.slabs import Checkpoint, Partition
from projections.stores.postgres import PostgresStore, PostgresView
from tests.projections.folds import FakeLetters, record, slab


@dataclass
class CatalogViews:
    """Applies events to the views; `number`: a partition that no topic has."""

    settings: Settings
    pool: Pool
    store: PostgresStore
    number: int
    applied: dict[Partition, int] = field(default_factory=dict)

    async def apply(self, events: Sequence[Envelope[Event]], topic: str = CATALOG.name) -> None:
        """Fold more events of a topic, as one slab."""
        partition = Partition(topic, self.number)
        begin = self.applied.get(partition, 0)
        if begin == 0:
            await self.store.begin({partition: Checkpoint(0, -1)})
        letters = FakeLetters()
        engine = Engine[PostgresView](self.store, postgres_views(Settings()), letters)
        records = [record(at, event, position=at) for at, event in enumerate(events, start=begin)]
        await engine.apply([slab(partition, records)])
        self.applied[partition] = begin + len(events)
        assert letters.sent == []

    @property
    def position(self) -> str:
        """The token for what was applied last of the catalog."""
        partition = Partition(CATALOG.name, self.number)
        return f"{partition.topic}:{partition.partition}:{self.applied[partition] - 1}"


@asynccontextmanager
async def catalog_views(settings: Settings) -> AsyncIterator[CatalogViews]:
    """The views in a migrated Postgres."""
    await migrate(settings)
    store = PostgresStore(settings, postgres_views(settings))
    await store.open()
    pool = await connect_pool(settings)
    yield CatalogViews(settings, pool, store, 10_000_000 + int(new_id()[-6:], 16))
    await pool.close()
    await store.close()
