"""Verify: events a second that one core verifies, of the log's chain, of Kafka beside the log, of the archive with its
columns and roots, and of what a checkpoint is taken over. By the CPU of the process that verifies: Postgres and Kafka
have cores of their own.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import UUID

import msgspec

from audits.verifying.archived import Archived, Signed
from audits.verifying.checkpoints import Range
from audits.verifying.leaves import tree_of
from audits.verifying.of_kafka import KafkaCheck, Sides
from audits.verifying.of_log import LogCheck
from events.envelope import CONTENT_TYPE
from events.topics import POSITION_HEADER
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.event_log import create_partitions
from infra.ids import new_id, new_uuid
from infra.kafka import new_producer
from infra.postgres import Pool, connect, connect_pool, migrate
from infra.settings import Settings
from tests.benchmarks.bench import Bench
from tests.benchmarks.results import Line
from tests.integration.tampering import reading, relayed

COUNT = 100_000
ROUNDS = 3
STREAMS = 1_000
GOAL = 150_000
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


async def run(bench: Bench) -> list[Line]:
    """A line for each."""
    with bench.stage(f"verify: {COUNT} events are recorded, relayed and archived", COUNT) as advance:
        events = [_event(number) for number in range(COUNT)]
        async with _recorded(bench.settings, events) as (settings, pool), relayed(settings, []) as topic:
            await _produce(settings, topic, events)
            advance(COUNT)
            with TemporaryDirectory() as directory:
                return await _lines(settings.model_copy(update={"state_dir": Path(directory)}), pool, topic, events)


async def _lines(settings: Settings, pool: Pool, topic: str, events: Sequence[bytes]) -> list[Line]:
    archive = Archive.open(settings)
    nothing = Archive.open(settings.model_copy(update={"state_dir": settings.state_dir / "nothing"}))
    for first in range(0, COUNT, settings.archive_file_max_records):
        write_file(archive, _records(topic, events, first, settings.archive_file_max_records))
    tree = tree_of(archive, topic, 0, 0, COUNT - 1)
    signed = [Signed(1, Range(topic, 0, 0, COUNT - 1, tree.size, tree.root().hex()))]

    async def log() -> None:
        async for update in LogCheck(pool, settings, 0, []).run("log", None):
            assert not update.findings

    async def kafka() -> None:
        async with reading(settings) as consumer:
            sides = Sides(pool, nothing, settings, frozenset({topic}))
            async for update in KafkaCheck(sides, consumer, topic, 0).run("kafka", None):
                assert not update.findings

    async def archived() -> None:
        assert not any(step.findings for step in Archived(archive, topic, 0, signed).steps())

    async def checkpoint() -> None:
        assert tree_of(archive, topic, 0, 0, COUNT - 1).root() == tree.root()

    return [
        await _line("the log's chain, its columns and versions", log, GOAL),
        await _line("Kafka's records beside the log", kafka, None),
        await _line("the archive: digests, columns, Merkle roots", archived, GOAL),
        await _line("the roots that a checkpoint signs", checkpoint, GOAL),
    ]


async def _line(what: str, check: Callable[[], Awaitable[None]], goal: int | None) -> Line:
    cpu, wall = [], []
    for _ in range(ROUNDS):
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        await check()
        cpu.append(COUNT / (time.process_time() - began_cpu_s))
        wall.append(COUNT / (time.perf_counter() - began_s))
    rate = median(cpu)
    return Line(
        f"verify: {what}, events/s of a core",
        f"{rate:,.0f}",
        f"{median(wall):,.0f} by the clock",
        goal="" if goal is None else f">= {goal}",
        met=None if goal is None else rate >= goal,
    )


@asynccontextmanager
async def _recorded(live: Settings, events: Sequence[bytes]) -> AsyncIterator[tuple[Settings, Pool]]:
    """A database of its own, whose log's only partition holds these events."""
    name = f"verified_{new_id().replace('-', '')}"
    administrator = await connect(live)
    await administrator.execute(f"create database {name}")
    changes: dict[str, object] = {"log_partitions": 1, "query_timeout_s": 120.0}
    settings = live.model_copy(update={**changes, "postgres_dsn": live.postgres_dsn.rpartition("/")[0] + f"/{name}"})
    try:
        await migrate(settings)
        await create_partitions(settings)
        pool = await connect_pool(settings, size=2)
        for stream in range(STREAMS):
            await _append(pool, stream, events[stream * COUNT // STREAMS : (stream + 1) * COUNT // STREAMS])
        await pool.execute("update relay_lease set position = $1", COUNT)
        await pool.execute("vacuum analyze event_log")
        yield settings, pool
        await pool.close()
    finally:
        await administrator.execute(f"drop database {name} with (force)")
        await administrator.close()


async def _append(pool: Pool, stream: int, events: Sequence[bytes]) -> None:
    ids = [UUID(msgspec.json.decode(event)["id"]) for event in events]
    types = ["catalog.SeasonAdded.v1"] * len(events)
    at = (0, f"catalog.series-{stream}", 0, ids, types, BEGAN, list(events))
    await pool.execute("select append_events($1::smallint, $2, $3, $4, $5, $6, $7)", *at)


def _event(number: int) -> bytes:
    """An event as editors make them: 700 bytes, most of them its envelope."""
    each = COUNT // STREAMS
    stream = f"catalog.series-{number // each}"
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": str(new_uuid()),
            "source": "playhead/commands",
            "type": "catalog.SeasonAdded.v1",
            "subject": stream,
            "time": BEGAN - timedelta(microseconds=1),
            "recordedtime": BEGAN,
            "datacontenttype": "application/json",
            "dataschema": "https://schemas.playhead.example/catalog.SeasonAdded.v1.json",
            "partitionkey": stream,
            "sequence": number % each + 1,
            "correlationid": str(new_uuid()),
            "causationid": str(new_uuid()),
            "principal": "editor",
            "data": {"series_id": stream, "title_id": f"title-{number % 500}", "name": f"Season {number} " + "x" * 60},
        }
    )


async def _produce(settings: Settings, topic: str, events: Sequence[bytes]) -> None:
    producer = new_producer(settings, batch_max_bytes=settings.relay_batch_max_bytes)
    await producer.start()
    for position, event in enumerate(events, 1):
        headers = [("content-type", CONTENT_TYPE.encode()), (POSITION_HEADER, b"%d" % position)]
        stream = f"catalog.series-{(position - 1) // (COUNT // STREAMS)}".encode()
        await producer.send(topic, event, key=stream, partition=0, headers=headers)
    await producer.stop()


def _records(topic: str, events: Sequence[bytes], first: int, count: int) -> list[Record]:
    at_us = round(BEGAN.timestamp() * 1e6)
    return [
        Record(topic, 0, offset, at_us, at_us // 1000, b"key", event, offset + 1, ())
        for offset, event in enumerate(events[first : first + count], first)
    ]
