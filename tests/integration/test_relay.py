"""The relay on a real Postgres and a real Kafka: everything, in order, through crashes and takeovers."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.handling import Handling
from events.topics import CATALOG, POSITION_HEADER
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.postgres import Pool, connect_pool
from infra.settings import Settings
from tests.integration.test_event_log import add, stream
from tests.servers import Servers

pytestmark = pytest.mark.integration

PATIENCE_S = 30


@contextmanager
def relay(live: Settings, tmp_path: Path, *, poll_interval_s: float = 0.02) -> Iterator[subprocess.Popen[bytes]]:
    """A relay process."""
    environment = {
        **os.environ,
        "PLAYHEAD_STATE_DIR": str(tmp_path),
        "PLAYHEAD_KAFKA_BOOTSTRAP": live.kafka_bootstrap,
        "PLAYHEAD_POSTGRES_DSN": live.postgres_dsn,
        "PLAYHEAD_RELAY_LEASE_S": "2",
        "PLAYHEAD_RELAY_POLL_INTERVAL_S": str(poll_interval_s),
    }
    process = subprocess.Popen([sys.executable, "-m", "playhead", "relay"], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def handling(live: Settings) -> AsyncIterator[Handling]:
    pool = await connect_pool(live)
    yield Handling(EventLog(pool, live), utc_now)
    await pool.close()


async def relayed(live: Settings) -> dict[int, list[int]]:
    """The log positions on Kafka, by partition, in Kafka's order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(CATALOG.name, partition) for partition in range(live.log_partitions)]
        ends = await consumer.end_offsets(places)
        consumer.assign([place for place in places if ends[place]])
        for place in consumer.assignment():
            consumer.seek(place, 0)
        positions: dict[int, list[int]] = {place.partition: [] for place in places}
        missing = sum(ends.values())
        while missing > 0:
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                positions[place.partition] += [int(dict(record.headers)[POSITION_HEADER]) for record in records]
                missing -= len(records)
        return positions
    finally:
        await consumer.stop()


async def logged(postgres: Pool) -> dict[int, list[int]]:
    """The positions of the log that belong on that topic, by partition: other contexts have the rest."""
    rows = await postgres.fetch("select partition, position from event_log where type like 'catalog.%' order by 1, 2")
    positions: dict[int, list[int]] = {}
    for row in rows:
        positions.setdefault(row["partition"], []).append(row["position"])
    return positions


async def caught_up(live: Settings, postgres: Pool) -> dict[int, list[int]]:
    """What is on Kafka once all that is in the log is."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            heads = {partition: positions[-1] for partition, positions in (await logged(postgres)).items()}
            positions = await relayed(live)
            if all(max(positions[partition], default=0) == head for partition, head in heads.items()):
                return positions
            await asyncio.sleep(0.2)


def applied(relayed: dict[int, list[int]]) -> dict[int, list[int]]:
    """What a reader that drops the positions it has applied is left with, of the partitions that hold something."""
    return {partition: first_seen(positions) for partition, positions in relayed.items() if positions}


def first_seen(positions: list[int]) -> list[int]:
    """The positions, each when it is higher than all before it."""
    highest, kept = 0, []
    for position in positions:
        if position > highest:
            highest = position
            kept.append(position)
    return kept


async def write(handling: Handling, count: int) -> None:
    for _ in range(count):
        await add(handling, stream())


async def test_everything_arrives_in_order_and_is_resumed_without_repeating(
    live: Settings, postgres: Pool, handling: Handling, tmp_path: Path
) -> None:
    await write(handling, 50)
    with relay(live, tmp_path) as process:
        before = await caught_up(live, postgres)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    await write(handling, 50)
    with relay(live, tmp_path):
        after = await caught_up(live, postgres)
    assert {partition: positions for partition, positions in after.items() if positions} == await logged(postgres)
    for partition, positions in before.items():
        assert after[partition][: len(positions)] == positions


async def test_what_is_recorded_is_relayed_before_the_relay_looks_by_itself(
    live: Settings, postgres: Pool, handling: Handling, tmp_path: Path
) -> None:
    await write(handling, 5)
    with relay(live, tmp_path) as process:
        await caught_up(live, postgres)
        process.send_signal(signal.SIGTERM)  # it gives its leases back
        assert process.wait(PATIENCE_S) == 0
    await write(handling, 5)
    with relay(live, tmp_path, poll_interval_s=3_600.0):
        await caught_up(live, postgres)  # with its first look
        await write(handling, 5)
        assert applied(await caught_up(live, postgres)) == await logged(postgres)


async def test_a_killed_relay_is_taken_over_and_nothing_is_skipped_or_reordered(
    live: Settings, postgres: Pool, handling: Handling, tmp_path: Path
) -> None:
    with relay(live, tmp_path) as first, relay(live, tmp_path):
        writing = asyncio.create_task(write(handling, 300))
        await _shared(postgres, 2)
        first.kill()
        killed_at = asyncio.get_running_loop().time()
        await _shared(postgres, 1)
        assert asyncio.get_running_loop().time() - killed_at < 5
        await writing
        assert applied(await caught_up(live, postgres)) == await logged(postgres)


async def test_kafka_away_and_back_loses_nothing(
    live: Settings, postgres: Pool, handling: Handling, tmp_path: Path, servers: Servers
) -> None:
    with relay(live, tmp_path):
        await caught_up(live, postgres)
        servers.kill("kafka")
        await write(handling, 40)
        await asyncio.sleep(2)
        await asyncio.to_thread(servers.start, "kafka")
        assert applied(await caught_up(live, postgres)) == await logged(postgres)


async def _shared(postgres: Pool, relays: int) -> None:
    """Wait until this many living relays hold all partitions between them."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            owners = await postgres.fetch(
                "select owner from relay_lease where expires_at > now() and owner is not null"
            )
            total = await postgres.fetchval("select count(*) from relay_lease")
            if len(owners) == total and len({row["owner"] for row in owners}) == relays:
                return
            await asyncio.sleep(0.1)
