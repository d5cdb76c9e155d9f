"""Everything that routes read from: the three stores, how far each is, what is kept of them, where viewers are, and
the key that signs cursors.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from infra.access.permissions import Principal
from infra.cursors import Cursors
from infra.http.territory import Territories
from infra.postgres import Connection, Pool
from infra.settings import Settings
from query_api.caching.places import Places
from query_api.checkpoints import applied_by_cassandra, applied_by_postgres, applied_by_redis
from query_api.drivers import Cql, cassandra_driver, postgres_driver, redis_driver
from query_api.playback.continue_watching_kept import KeptReplies
from query_api.playback.refill import Refill
from query_api.playback.title_facts import TitlesKept
from query_api.playback.withdrawn import WithdrawnTitles
from query_api.read_your_writes import Checkpoint
from query_api.redis_reads import RedisReads
from query_api.row_security import reading_as
from query_api.stores import Store


@dataclass(frozen=True)
class Sources:
    """The stores, with each store's checkpoint beside it."""

    postgres: Store[Pool]
    postgres_checkpoint: Checkpoint
    postgres_places: Places
    cassandra: Store[Cql]
    cassandra_checkpoint: Checkpoint
    redis: Store[RedisReads]
    redis_checkpoint: Checkpoint
    withdrawn: WithdrawnTitles
    title_facts: TitlesKept
    refill: Refill
    continue_watching: KeptReplies
    territories: Territories
    subscription_required: bool
    cursors: Cursors

    @classmethod
    def of(cls, settings: Settings, cursors: Cursors) -> "Sources":
        """The stores that the settings name, not yet connected."""
        in_postgres = Store(postgres_driver(settings), settings)
        in_cassandra = Store(cassandra_driver(settings), settings)
        in_redis = Store(redis_driver(settings), settings)
        return cls(
            postgres=in_postgres,
            postgres_checkpoint=Checkpoint(in_postgres.name, applied_by_postgres(in_postgres), settings),
            postgres_places=Places(in_postgres, settings),
            cassandra=in_cassandra,
            cassandra_checkpoint=Checkpoint(in_cassandra.name, applied_by_cassandra(in_cassandra), settings),
            redis=in_redis,
            redis_checkpoint=Checkpoint(in_redis.name, applied_by_redis(in_redis), settings),
            withdrawn=WithdrawnTitles(in_redis, settings),
            title_facts=TitlesKept(in_postgres, settings),
            refill=Refill(applied_by_redis(in_redis), applied_by_postgres(in_postgres), settings),
            continue_watching=KeptReplies(settings.continue_watching_kept_max_bytes),
            territories=Territories(settings),
            subscription_required=settings.subscription_required,
            cursors=cursors,
        )

    def postgres_as(self, caller: Principal) -> AbstractAsyncContextManager[Connection]:
        """A connection for every table that has rows of people: see row_security.py. Raises StoreUnavailable."""
        return reading_as(self.postgres, caller)

    def open(self) -> None:
        """Begin to connect to all three."""
        for store in (self.postgres, self.cassandra, self.redis):
            store.open()

    async def close(self) -> None:
        """Close all three."""
        await asyncio.gather(*(store.close() for store in (self.postgres, self.cassandra, self.redis)))

    async def missing(self) -> dict[str, str]:
        """The stores that cannot be read now, with the reason: what /ready shows."""
        stores: tuple[Store[Pool] | Store[Cql] | Store[RedisReads], ...] = (self.postgres, self.cassandra, self.redis)
        reasons = await asyncio.gather(*(store.missing() for store in stores))
        return {store.name: reason for store, reason in zip(stores, reasons, strict=True) if reason is not None}
