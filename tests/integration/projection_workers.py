"""Projection processes on real servers, events for them, and looks into what they made of them."""

import asyncio
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaConsumer

from events import playback as p
from events.envelope import Envelope, Event, encode
from events.topics import PLAYBACK
from infra.kafka import new_producer
from infra.settings import Settings, environment_of_child
from projections.slabs import Checkpoint, Partition
from projections.store import Store
from tests.builders import playback_started, reported, session

PATIENCE_S = 60.0


class PlayheadProcess:
    """A process of `playhead`, with settings of its own."""

    module = "playhead"

    def __init__(self, arguments: tuple[str, ...], live: Settings, directory: Path, **told: object) -> None:
        self.port = free_port()
        self._log = (directory / f"{'-'.join(arguments)}-{self.port}.log").open("wb")
        environment = environment_of_child(
            state_dir=directory,
            kafka_bootstrap=live.kafka_bootstrap,
            postgres_dsn=live.postgres_dsn,
            cassandra_host=live.cassandra_host,
            cassandra_port=live.cassandra_port,
            redis_url=live.redis_url,
            probe_port=self.port,
            store_retry_max_s=0.5,
            **told,
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments], env=environment, stderr=self._log
        )

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """As an orderly supervisor would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """End it however it is."""
        if self.process.poll() is None:
            self.kill()
        self._log.close()

    @property
    def memory_mb(self) -> float:
        """Resident memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    async def ready(self) -> dict[str, str] | None:
        """What is missing; None while it does not answer."""
        try:
            async with httpx.AsyncClient() as client:
                reply = await client.get(f"http://127.0.0.1:{self.port}/ready")
        except httpx.HTTPError:
            return None
        missing: dict[str, str] = reply.json()["missing"]
        return missing

    async def is_ready(self) -> bool:
        """Whether nothing is missing."""
        return await self.ready() == {}

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over the labels that are not given."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).text
        samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for found, value in samples if all(each in found for each in wanted))


class Worker(PlayheadProcess):
    """A process of `playhead projections STORE`."""

    def __init__(self, store: str, live: Settings, directory: Path) -> None:
        super().__init__(("projections", store), live, directory, offsets_mirror_interval_s=1)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def eventually(what: Callable[[], Awaitable[bool]], patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so. Raises TimeoutError."""
    async with asyncio.timeout(patience_s):
        while not await what():
            await asyncio.sleep(0.05)


async def produce(live: Settings, events: Iterable[Envelope[Event] | bytes], *, pause_every: int = 1_000) -> None:
    """Produce playback events, or any bytes, in this order, with a breath now and then."""
    producer = new_producer(live)
    await producer.start()
    try:
        for number, event in enumerate(events):
            body, key = (event, "poison") if isinstance(event, bytes) else (encode(event), event.partitionkey)
            await producer.send(PLAYBACK.name, body, key=key.encode())
            if number % pause_every == pause_every - 1:
                await asyncio.sleep(0.05)
        await producer.flush()
    finally:
        await producer.stop()


def evening(prefix: str, *, sessions: int, reports: int) -> list[Envelope[Event]]:
    """Sessions that play side by side, a tenth of what they report resent, and neighbours swapped on the way."""
    chance = random.Random(prefix)
    snapshots = [session(f"{prefix}-{n}", profile_id=f"{prefix}-profile-{n // 2}") for n in range(sessions)]
    events = [playback_started(each) for each in snapshots]
    for seq in range(reports):
        events += [reported(p.Heartbeat, seq, of=each) for each in snapshots]
    events += chance.sample(events, len(events) // 10)
    for place in range(0, len(events) - sessions, 7):
        other = min(place + chance.randrange(3 * sessions), len(events) - 1)
        events[place], events[other] = events[other], events[place]
    return events


async def begin_here(live: Settings, *stores: Store[Any]) -> None:
    """Let the views of stores begin with what comes now: what other tests played before is nothing to them."""
    consumer = AIOKafkaConsumer(PLAYBACK.name, bootstrap_servers=live.kafka_bootstrap)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
    finally:
        await consumer.stop()
    for store in stores:
        await store.open()
        try:
            await store.begin({Partition(at.topic, at.partition): Checkpoint(end, end - 1) for at, end in ends.items()})
        finally:
            await store.close()
