"""The archive: events a second into Parquet on one core, from records that Kafka has given already and from Kafka; and
what an event takes, beside raw JSON and Kafka's own lz4 segments.
"""

import asyncio
import random
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Final

import pyarrow as pa
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord

from infra.archive.cutting import Tail, write_messages
from infra.archive.store import Archive
from infra.ids import new_id, new_uuid
from infra.kafka import BATCH_MAX_BYTES
from infra.settings import Settings
from tests.benchmarks import backlog
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.results import Line

EVENTS: Final = 200_000
A_FILE: Final = 25_000
ROUNDS: Final = 3
GOAL_EVENTS_PER_S: Final = 100_000
PARTITIONS: Final = 8
POLL_S: Final = 0.05
WITHIN_S: Final = 180
KINDS: Final = (0, 1, 2, 8)
"""What samples have between their zeros: of sessions, accounts, profiles and devices."""
PROFILE: Final = 2
OWN_PLACE: Final = slice(24, 36)
"""Where a key, which is an id, has the number of its session."""


async def run(bench: Bench) -> list[Line]:
    """Rates a CPU second, so that what else runs on the machine does not count."""
    records = list(lifelike(EVENTS))
    rates = [_written(bench, records) for _ in range(ROUNDS)]
    of_kafka, peak_records = await _from_kafka(bench, records)
    raw = sum(len(body) for _, body in records) / len(records)
    return [
        _rate("archive: records in memory to Parquet, events a CPU second", median(rate for rate, _ in rates)),
        _rate("archive: Kafka to Parquet, events a CPU second", of_kafka),
        Line("archive: Kafka to Parquet, events/s", f"{peak_records:,.0f}"),
        *_sizes(raw, rates[0][1], await _on_disk(bench, records)),
    ]


def _rate(what: str, rate: float) -> Line:
    return Line(what, f"{rate:,.0f}", goal=f">= {GOAL_EVENTS_PER_S:,}", met=rate >= GOAL_EVENTS_PER_S)


def _sizes(raw: float, parquet: float, segments: float | None) -> list[Line]:
    lines = [Line("archive: bytes an event, beside raw JSON", f"{parquet:.0f}", f"{raw:.0f}", f"{parquet / raw:.3f}")]
    if segments is not None:
        beside = "archive: bytes an event, beside Kafka's lz4 segments"
        lines.append(Line(beside, f"{parquet:.0f}", f"{segments:.0f}", f"{parquet / segments:.3f}"))
    return lines


def lifelike(events: int) -> Iterator[tuple[bytes, bytes]]:
    """A backlog whose sessions, accounts, profiles and devices have ids as random as real ones, and whose times have
    microseconds: what compresses no better than what players send.
    """
    chance = random.Random(8)
    ids: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for key, body in backlog.strangers(events):
        own = key[OWN_PLACE]
        if own not in ids:
            ids[own] = [(b"00000000-0000-%04d-0000-%s" % (kind, own), _uuid()) for kind in KINDS]
        real = body.replace(b".040000Z", b".%06dZ" % chance.randrange(10**6))
        for sample, random_one in ids[own]:
            real = real.replace(sample, random_one)
        yield ids[own][PROFILE][1], real


def _uuid() -> bytes:
    return str(new_uuid()).encode()


def _written(bench: Bench, records: list[tuple[bytes, bytes]]) -> tuple[float, float]:
    """Events a CPU second, and bytes an event."""
    settings = bench.settings.model_copy(update={"state_dir": bench.settings.state_dir / f"archive-{new_id()}"})
    archive, tail, size = Archive.open(settings), Tail(0, None), 0
    pa.set_cpu_count(1)
    messages = _messages(records)
    began_s = time.process_time()
    while chunk := list(islice(messages, A_FILE)):
        for file in write_messages(archive, chunk, tail):
            tail = Tail(file.end, file.last_time)
            size += file.bytes
    took_s = time.process_time() - began_s
    shutil.rmtree(settings.state_dir)
    return len(records) / took_s, size / len(records)


def _messages(records: list[tuple[bytes, bytes]]) -> Iterator[ConsumerRecord[bytes, bytes]]:
    headers, now_ms = tuple(backlog.HEADERS), 1_795_000_000_000
    made = [
        ConsumerRecord("bench", 0, at, now_ms + at // 20, 0, key, body, None, len(key), len(body), headers)
        for at, (key, body) in enumerate(records)
    ]
    return iter(made)


async def _from_kafka(bench: Bench, records: list[tuple[bytes, bytes]]) -> tuple[float, float]:
    """By the process: events a CPU second, and a second."""
    topic = await _topic(bench.settings)
    directory = bench.settings.state_dir / f"archive-{new_id()}"
    settings = bench.settings.model_copy(update={"state_dir": directory, "archive_topics": (topic,)})
    with bench.stage(f"archive: {EVENTS} events onto Kafka", EVENTS) as advance:
        await backlog.produce_batches(bench.settings, iter(records), advance, topic=topic)
    told = {"archive_url": settings.archive_location, "archive_topics": f'["{topic}"]', "archive_file_max_age_s": 5}
    now_s, archive = asyncio.get_running_loop().time, Archive.open(settings)
    with bench.stage(f"archive: {EVENTS} events from Kafka", EVENTS):
        began_s = now_s()
        async with running(bench, "archive", *playhead("archive"), port_setting="probe_port", **told) as process:
            first, began_cpu_s = _archived(archive, topic), process.cpu_s()
            began_s = now_s() if first else began_s
            async with asyncio.timeout(WITHIN_S):
                while _archived(archive, topic) < EVENTS:
                    await asyncio.sleep(POLL_S)
            took_s, cpu_s = now_s() - began_s, process.cpu_s() - began_cpu_s
    shutil.rmtree(directory)
    return (EVENTS - first) / cpu_s, (EVENTS - first) / took_s


def _archived(archive: Archive, topic: str) -> int:
    return sum(file.rows for each in range(PARTITIONS) for file in archive.files(topic, each))


async def _on_disk(bench: Bench, records: list[tuple[bytes, bytes]]) -> float | None:
    """Bytes an event in Kafka's segments, batched as Playhead does; None where they are not on this machine."""
    topic = await _topic(bench.settings)
    with bench.stage(f"archive: {EVENTS} events onto Kafka in small batches", EVENTS) as advance:
        await backlog.produce_batches(bench.settings, iter(records), advance, topic=topic, batch_bytes=BATCH_MAX_BYTES)
    size = sum(path.stat().st_size for path in bench.settings.state_dir.glob(f"**/{topic}-*/*.log"))
    return size / len(records) if size else None


async def _topic(settings: Settings) -> str:
    topic = f"bench-archive-{new_id()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
    finally:
        await admin.close()
    return topic
