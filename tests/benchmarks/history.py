"""History: read and decoded into typed events, from the archive, from Kafka, from the log and from all of them, beside
the Python library `eventsourcing` that reads its notification log on the same Postgres, in the same run.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from audits.history.asked import Asked
from audits.history.reading import begun
from audits.sources import Source, Sources, opened
from events.topics import SUBSCRIPTION
from infra.archive.archiving import Archiver
from infra.archive.store import Archive
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.postgres import Pool, connect_pool
from infra.settings import Settings
from tests.benchmarks import backlog, peer, relay, renewals
from tests.benchmarks.bench import Bench
from tests.benchmarks.children import playhead, running
from tests.benchmarks.results import Line, at_least, at_most

NAME: Final = "eventsourcing"
SCRIPT: Final = peer.PEERS / NAME / "pipeline.py"
SCHEMA: Final = "bench_history"
EVENTS: Final = 100_000
EVENTS_A_STREAM: Final = 500
ROUNDS: Final = 5
WRITERS, STREAMS, EACH = 8, 240, 10
"""What the library writes first, and then reads again and again."""
GOAL: Final = 1.0
POLL_S: Final = 0.05
WITHIN_S: Final = 180.0
ASKED: Final = Asked(topics=(SUBSCRIPTION.name,))
ALL: Final = frozenset(Source)


class Speed(NamedTuple):
    """Events a second, and microseconds of CPU an event of our process, all its threads."""

    per_s: float
    cpu_us: float


async def run(bench: Bench) -> list[Line]:
    """A line for each source, and for the library."""
    python = await peer.installed(bench, NAME)
    pool = await connect_pool(bench.settings, size=WRITERS)
    try:
        with tempfile.TemporaryDirectory() as directory:
            settings = bench.settings.model_copy(
                update={"archive_url": Path(directory).as_uri(), "archive_topics": ASKED.topics}
            )
            await _fill(bench, pool, settings)
            async with _library(bench, pool, python) as environment:
                rounds = [await _round(bench, settings, python, environment, each) for each in range(1, ROUNDS + 1)]
    finally:
        await pool.execute(f"drop schema if exists {SCHEMA} cascade")
        await pool.close()
    return _lines(rounds)


def _lines(rounds: list[dict[str, Speed]]) -> list[Line]:
    peers = [each["library"] for each in rounds]
    lines = []
    for name in ("archive", "archive, by slabs", "kafka", "log", "archive, kafka and log"):
        ours = [each[name] for each in rounds]
        goal = GOAL if name == "archive" else None
        what = f"history: read and decode, {name}"
        lines.append(at_least(what, "events/s", [x.per_s for x in ours], [x.per_s for x in peers], goal))
    typed = [each["library, decoded"].per_s for each in rounds]
    ours = [each["archive"] for each in rounds]
    lines.append(
        at_least("history: the same, the library decodes too", "events/s", [x.per_s for x in ours], typed, None)
    )
    cpu = at_most("history: archive", "CPU us an event", [x.cpu_us for x in ours], [x.cpu_us for x in peers], None)
    return [*lines, cpu]


async def _round(
    bench: Bench, settings: Settings, python: Path, environment: dict[str, str], number: int
) -> dict[str, Speed]:
    with bench.stage(f"history: round {number} of {ROUNDS}", 1):
        found = {}
        for source in Source:
            async with opened(settings, without=ALL - {source}) as sources:
                found[str(source)] = await _read(sources)
                if source is Source.ARCHIVE:
                    found["archive, by slabs"] = await _read_slabs(sources)
        async with opened(settings) as sources:
            found["archive, kafka and log"] = await _read(sources)
        for name, step in (("library", "read"), ("library, decoded", "decode")):
            async with peer.running(python, SCRIPT, step, env=environment) as reading:
                reading.begin()
                measured = await reading.measured()
                found[name] = Speed(measured.per_s, measured.cpu_us)
        return found


async def _read(sources: Sources) -> Speed:
    """Event by event, as anyone reads the history."""
    began_s, began_cpu_s, count = time.perf_counter(), time.process_time(), 0
    async with begun(sources, ASKED) as reading:
        async for event in reading.events():
            event.decoded()
            count += 1
    return _speed(began_s, began_cpu_s, count)


async def _read_slabs(sources: Sources) -> Speed:
    """Some at a time, as what goes through all of it does."""
    began_s, began_cpu_s, count = time.perf_counter(), time.process_time(), 0
    async with begun(sources, ASKED) as reading:
        async for slab in reading.slabs():
            for event in slab:
                event.decoded()
            count += len(slab)
    return _speed(began_s, began_cpu_s, count)


def _speed(began_s: float, began_cpu_s: float, count: int) -> Speed:
    assert count >= EVENTS, f"only {count} of {EVENTS} events were read"
    return Speed(count / (time.perf_counter() - began_s), (time.process_time() - began_cpu_s) / count * 1e6)


async def _fill(bench: Bench, pool: Pool, settings: Settings) -> None:
    """Have the events in the log, on Kafka and in the archive."""
    log = EventLog(pool, settings)
    with bench.stage(f"history: {EVENTS} events into the log", EVENTS) as advance:
        for target in renewals.streams(EVENTS // EVENTS_A_STREAM):
            async with log.open({target.stream_id: None}, now=utc_now()) as opened_:
                events = renewals.several(target.subject, EVENTS_A_STREAM, utc_now())
                await opened_.record({target.stream_id: events}, renewals.TERMS.context, b"")
            advance(EVENTS_A_STREAM)
    with bench.stage("history: relayed to Kafka", 1):
        async with running(bench, "relay", *playhead("relay"), port_setting="probe_port"):
            async with asyncio.timeout(WITHIN_S):
                while await pool.fetchval(relay.BEHIND):
                    await asyncio.sleep(POLL_S)
    with bench.stage("history: archived", 1):
        await _archive(settings)


async def _archive(settings: Settings) -> None:
    archive = Archive.open(settings)
    archiver = Archiver(archive, settings.model_copy(update={"archive_file_max_age_s": 1.0}))
    ends = await backlog.ends(settings, list(ASKED.topics))
    archiving = asyncio.create_task(archiver.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            while any(archive.end(*place) < end for place, end in ends.items()):
                await asyncio.sleep(POLL_S)
    finally:
        archiver.stop()
        await archiving


@asynccontextmanager
async def _library(bench: Bench, pool: Pool, python: Path) -> AsyncIterator[dict[str, str]]:
    """What its processes need, when it has written what it reads."""
    await pool.execute(f"drop schema if exists {SCHEMA} cascade")
    await pool.execute(f"create schema {SCHEMA}")
    environment = peer.eventsourcing_environment(bench.settings, SCHEMA, pool=WRITERS)
    with bench.stage("history: the library's events", 1):
        async with peer.running(
            python, SCRIPT, "write", *map(str, (WRITERS, STREAMS, EACH)), env=environment
        ) as writing:
            writing.begin()
            await writing.measured()
    yield environment
