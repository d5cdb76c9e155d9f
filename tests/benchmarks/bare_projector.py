"""What the projector is compared with: a getmany loop that does the same fold with the same SQL, adds up the same, its
checkpoint in the same transaction, and nothing else. `python -m tests.benchmarks.bare_projector`.
"""

import asyncio
import gc

import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from events.registry import REGISTRY
from infra.postgres import Pool, connect_pool
from infra.settings import Settings, settings
from infra.telemetry import ProbeServer
from projections.aggregating import net_changes, plus
from projections.app import postgres_views
from projections.playback.playback_sessions import PlaybackSessions
from projections.stores.tables import Table
from projections.views import AggregateView

PROJECTION = "bare"
READ = "select topic, partition, next_offset from projection_checkpoint where projection = $1 and topic = any($2)"
MOVE = """
    update projection_checkpoint as held set next_offset = new.next_offset
    from unnest($2::text[], $3::int[], $4::bigint[]) as new(topic, partition, next_offset)
    where held.projection = $1 and held.topic = new.topic and held.partition = new.partition
"""
VIEW = PlaybackSessions()
TABLE = Table(VIEW)
AGGREGATES = [(view, Table(view)) for view in postgres_views(Settings()) if isinstance(view, AggregateView)]


async def run(settings: Settings) -> None:
    """Fold what there is and what comes, until it is ended."""
    pool = await connect_pool(settings, size=1, synchronous_commit=False)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap,
        fetch_max_bytes=settings.fetch_max_bytes,
        max_partition_fetch_bytes=settings.partition_fetch_max_bytes,
    )
    await consumer.start()
    begins = await pool.fetch(READ, PROJECTION, [topic.name for topic in VIEW.topics])
    consumer.assign([TopicPartition(topic, partition) for topic, partition, _ in begins])
    for topic, partition, next_offset in begins:
        consumer.seek(TopicPartition(topic, partition), next_offset)
    await ProbeServer(settings, _ready).start()
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=settings.batch_max_records)
        if fetched:
            await _apply(pool, fetched)


async def _apply(pool: Pool, fetched: dict[TopicPartition, list]) -> None:  # type: ignore[type-arg]
    events = [REGISTRY.decode(record.value) for records in fetched.values() for record in records]
    async with pool.acquire() as connection, connection.transaction():
        keys = [VIEW.key(event) for event in events]
        held = {record[0]: TABLE.row_of(record) for record in await connection.fetch(TABLE.select, list(set(keys)))}
        rows = dict(held)
        for key, event in zip(keys, events, strict=True):
            rows[key] = VIEW.project(rows.get(key), event)
        await connection.execute(TABLE.upsert, *TABLE.columns_of(list(rows.values())))
        changed = {key: (row, 0) for key, row in rows.items()}
        for view, table in AGGREGATES:
            await _add_up(connection, table, view, net_changes(view, held, changed))
        topics, partitions = zip(*fetched, strict=True)
        nexts = [records[-1].offset + 1 for records in fetched.values()]
        await connection.execute(MOVE, PROJECTION, topics, partitions, nexts)


async def _add_up(connection, table: Table, view, net) -> None:  # type: ignore[no-untyped-def]
    keys = sorted(net)
    if table.add and keys:
        await connection.execute(table.add, *table.columns_of([net[key] for key in keys]))
    elif keys:
        held = {record[0]: table.row_of(record) for record in await connection.fetch(table.lock, keys)}
        rows = [plus(view, held.get(key), net[key]) for key in keys]
        await connection.execute(table.upsert, *table.columns_of(rows))


async def _ready() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    gc.freeze()  # as the projector does
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings()))
