"""How far the views of all stores are, and what they hold: counts and digests, which are equal where their rows are."""

from collections.abc import Sequence
from typing import Any, Final

from audits.backups.manifest import Applied, Noted
from audits.backups.showing import Show, Step
from infra.clock import utc_now
from infra.postgres import Connection
from infra.settings import Settings
from projections.app import STORES, cassandra_views, postgres_views, redis_views
from projections.slabs import Partition
from projections.store import Checkpoints
from projections.versions.comparing import Tally
from projections.versions.folded_into import OTHERS
from projections.versions.groups import PROJECTION, Group, grouped
from projections.versions.in_cassandra import CassandraHome
from projections.versions.in_redis import RedisHome
from projections.versions.registry import VersionRefused
from projections.versions.verify import comparable, digest_of, kept_of
from projections.worker import topics_of

CHECKPOINTS: Final = "select topic, partition, next_offset from projection_checkpoint where projection = $1"


def names_of_tables(settings: Settings) -> frozenset[str]:
    """The tables in Postgres that are views."""
    return frozenset(view.name for view in postgres_views(settings))


def views_of(settings: Settings, store: str) -> Sequence[Any]:
    """The views of a store."""
    return {"postgres": postgres_views, "cassandra": cassandra_views, "redis": redis_views}[store](settings)


def topics_of_store(settings: Settings, store: str) -> list[str]:
    """What the projection of a store reads."""
    return topics_of(views_of(settings, store))


def topics_by_view(settings: Settings) -> dict[tuple[str, str], list[str]]:
    """By store and view, the topics that it is made of."""
    return {(store, view.name): topics_of([view]) for store in STORES for view in views_of(settings, store)}


async def applied_in(settings: Settings, connection: Connection, topics: dict[str, int]) -> list[Applied]:
    """How far the views of every store are. `topics`: how many partitions each has. Raises StoreUnavailable."""
    rows = await connection.fetch(CHECKPOINTS, PROJECTION)
    found = [Applied(PROJECTION, row["topic"], row["partition"], row["next_offset"]) for row in rows]
    for store in OTHERS:
        names = [name for name in topics_of_store(settings, store) if name in topics]
        partitions = [Partition(name, number) for name in names for number in range(topics[name])]
        held = await _checkpoints(settings, store, partitions)
        found += [Applied(store, *partition, at.next_offset) for partition, at in held.items()]
    return sorted(found, key=lambda each: (each.store, each.topic, each.partition))


async def _checkpoints(settings: Settings, store: str, partitions: Sequence[Partition]) -> Checkpoints:
    opened = OTHERS[store](settings, ())
    try:
        await opened.open()
        return await opened.checkpoints(partitions)
    finally:
        await opened.close()


async def noted(settings: Settings, connection: Connection, show: Show) -> list[Noted]:
    """What every view holds; those in Postgres as of the connection's snapshot. Raises StoreUnavailable."""
    total = sum(len(views_of(settings, store)) for store in STORES)
    found: list[Noted] = []
    for view in postgres_views(settings):
        show(Step("adding up views", len(found), total))
        listed = ", ".join(f'"{column}"' for column in comparable(view))
        rows, digest = await digest_of(connection, kept_of(view, view.name, utc_now()), listed)
        found.append(Noted(PROJECTION, view.name, rows, digest))
    for store in OTHERS:
        async with RedisHome(settings) if store == "redis" else CassandraHome(settings) as home:
            for group in grouped(views_of(settings, store), store).values():
                show(Step("adding up views", len(found), total))
                if (one := await _noted(home, group)) is not None:
                    found.append(one)
    return found


async def _noted(home: RedisHome | CassandraHome, group: Group) -> Noted | None:
    """None for a view whose projection never ran."""
    tally = Tally(0)
    try:
        live = await home.live(group.name)
    except VersionRefused:
        return None
    async for rows in home.rows(group, live.version):
        tally.add(rows)
    compared = tally.compared(group.name)
    return Noted(group.store, group.name, compared.rows, compared.digest)
