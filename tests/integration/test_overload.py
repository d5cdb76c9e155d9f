"""Ingest when too much comes, and when Kafka is slow or away: a commands process under load, and what is on the topic
at the end.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from events.topics import PLAYBACK
from events.types import ProfileId, SessionId
from infra.access.tokens import Tokens
from infra.clock import monotonic_s, utc_now
from infra.publisher import KafkaUnavailable, Publisher
from infra.settings import MIB, Settings
from tests import builders
from tests.integration.projection_workers import PlayheadProcess, free_port
from tests.servers import Servers

pytestmark = pytest.mark.integration

PLAYERS: Final = 24
EVENTS: Final = 3
OUTAGE_S: Final = 20.0
UNREADY_WITHIN_S: Final = 5.0
READY_AGAIN_WITHIN_S: Final = 25.0
REFUSED_WITHIN_S: Final = 1.0
GROWTH_MAX_MB: Final = 100.0
"""On top of what it holds under the same load while all is well."""
SLOWER_AT_MOST: Final = 6
"""Client and server share two cores with the flood itself."""
IS_RECORDED: Final = frozenset({"ok", "duplicate", "warning"})


class Commands(PlayheadProcess):
    """A commands process, and a client of it."""

    def __init__(self, live: Settings, directory: Path, **told: object) -> None:
        port = free_port()
        super().__init__(
            ("commands",), live, directory, commands_port=port, keys_dir=live.keys_path, retry_after_s=1, **told
        )
        self.port = port
        self.tokens = Tokens(live)
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, limits=httpx.Limits(max_connections=None)
        )

    async def until(self, is_so: Callable[[dict[str, str] | None], bool], within_s: float) -> float:
        """Wait until its readiness is so; how long that took."""
        began_s = monotonic_s()
        while not is_so(await self.ready()):
            assert monotonic_s() - began_s < within_s
            await asyncio.sleep(0.1)
        return monotonic_s() - began_s

    async def gauge(self, name: str) -> float:
        """A metric of one value."""
        found = re.search(rf"^{name} (\S+)$", (await self.client.get("/metrics")).text, re.MULTILINE)
        assert found is not None
        return float(found[1])


@asynccontextmanager
async def running(live: Settings, directory: Path, **told: object) -> AsyncIterator[Commands]:
    commands = Commands(live, directory, **told)
    try:
        await commands.until(lambda missing: missing == {}, 30)
        yield commands
    finally:
        await commands.client.aclose()
        commands.close()


@pytest.fixture(scope="module")
async def commands(live: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Commands]:
    async with running(live, tmp_path_factory.mktemp("overload")) as commands:
        yield commands


@dataclass
class Player:
    """Sends what it plays, keeps what is not said to be recorded, and sends that again."""

    commands: Commands
    session_id: SessionId = field(default_factory=lambda: SessionId(str(uuid4())))
    acknowledged: set[int] = field(default_factory=set)
    took_s: list[tuple[float, int, float]] = field(default_factory=list)
    """Of each request: when it was sent, the status of its reply, and what that took."""

    def __post_init__(self) -> None:
        session = builders.session(
            self.session_id, profile_id=ProfileId(str(uuid4())), started_at=utc_now() - timedelta(minutes=1)
        )
        expires_at = utc_now() + timedelta(hours=1)
        self.token = self.commands.tokens.mint_playback(builders.grant(session), expires_at)

    async def post(self, events: list[dict[str, Any]]) -> httpx.Response:
        return await self.send(msgspec.json.encode({"sent_at": utc_now(), "events": events}))

    async def send(self, content: bytes | AsyncIterator[bytes]) -> httpx.Response:
        began_s = monotonic_s()
        reply = await self.commands.client.post(
            f"/v1/playback/sessions/{self.session_id}/events",
            content=content,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        self.took_s.append((began_s, reply.status_code, monotonic_s() - began_s))
        return reply

    async def report(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send events; those that are to be sent again."""
        reply = await self.post(events)
        if reply.status_code == 503:
            await asyncio.sleep(int(reply.headers["retry-after"]))
            return events
        results = reply.raise_for_status().json()["results"]
        statuses = {result["seq"]: result["status"] for result in results}
        self.acknowledged |= {seq for seq, status in statuses.items() if status in IS_RECORDED}
        kept = [each for each in events if statuses[each["seq"]] == "retry"]
        if kept:
            await asyncio.sleep(int(reply.headers["retry-after"]))
        return kept

    async def play(self, until: asyncio.Event, pause_s: float = 0.1) -> None:
        """Play for so long, and go on until everything is said to be recorded."""
        numbers = itertools.count()
        kept: list[dict[str, Any]] = []
        while kept or not until.is_set():
            kept = await self.report(kept or heartbeats(numbers, EVENTS))
            await asyncio.sleep(pause_s)

    def latencies(self, status: int, since_s: float = 0, to_s: float = 1e12) -> list[float]:
        return [took_s for at_s, code, took_s in self.took_s if code == status and since_s <= at_s <= to_s]


def heartbeats(numbers: "itertools.count[int]", count: int, **values: Any) -> list[dict[str, Any]]:
    now = utc_now()
    return [
        {"type": "heartbeat", "seq": seq, "at": now, "position_ms": seq, **values}
        for seq in itertools.islice(numbers, count)
    ]


class Identified(msgspec.Struct):
    """Of an event, what tells it from others."""

    id: str


async def on_topic(live: Settings, players: list[Player]) -> dict[SessionId, set[int]]:
    """The seqs of each player's events on Kafka, all of the topic read to its end."""
    found: dict[SessionId, set[int]] = {player.session_id: set() for player in players}
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(PLAYBACK.name, number) for number in range(live.playback_partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    with suppress(msgspec.MsgspecError):  # other tests leave what nobody can read
                        session_id, _, seq = msgspec.json.decode(record.value, type=Identified).id.rpartition(":")
                        if session_id in found:
                            found[SessionId(session_id)].add(int(seq))
    finally:
        await consumer.stop()
    return found


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98] if len(values) > 1 else max(values, default=0.0)


Break = Callable[[], Awaitable[None]]


def breaking(servers: Servers, how: str) -> tuple[Break, Break]:
    """How Kafka is taken away, and given back."""
    away, back = {"hung": (servers.pause, servers.resume), "killed": (servers.kill, servers.start)}[how]
    return lambda: asyncio.to_thread(away, "kafka"), lambda: asyncio.to_thread(back, "kafka")


@pytest.mark.parametrize("how", ["hung", "killed"])
async def test_kafka_away_under_load_loses_nothing_acknowledged_and_is_over_by_itself(
    servers: Servers, live: Settings, commands: Commands, how: str
) -> None:
    take_away, give_back = breaking(servers, how)
    players, is_over = [Player(commands) for _ in range(PLAYERS)], asyncio.Event()
    playing = [asyncio.create_task(player.play(is_over)) for player in players]
    await asyncio.sleep(3)
    memory_mb, most_mb = commands.memory_mb, 0.0
    away_s = monotonic_s()
    await take_away()
    try:
        unready_s = await commands.until(lambda missing: "kafka" in (missing or {}), UNREADY_WITHIN_S)
        refusing_s = monotonic_s()
        while monotonic_s() - away_s < OUTAGE_S:
            most_mb = max(most_mb, commands.memory_mb)
            assert await commands.gauge("playhead_publish_inflight_bytes") <= live.produce_inflight_max_bytes
            await asyncio.sleep(0.5)
    finally:
        back_s = monotonic_s()
        await give_back()
    ready_s = await commands.until(lambda missing: missing == {}, READY_AGAIN_WITHIN_S)
    await asyncio.sleep(2)
    is_over.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*playing)
    refused = [took_s for player in players for took_s in player.latencies(503, refusing_s, back_s)]
    print(
        f"{how}: not ready after {unready_s:.1f} s, ready again after {ready_s:.1f} s; {len(refused)} refused, p50"
        f" {median(refused) * 1e3:.0f} ms, p99 {p99(refused) * 1e3:.0f} ms; memory {memory_mb:.0f} to {most_mb:.0f} MB;"
        f" {sum(len(player.acknowledged) for player in players)} events acknowledged"
    )
    assert await on_topic(live, players) == {player.session_id: player.acknowledged for player in players}
    assert p99(refused) < REFUSED_WITHIN_S
    assert most_mb < memory_mb + GROWTH_MAX_MB


async def test_what_kafka_took_of_a_report_before_it_went_silent_is_said_event_by_event(
    servers: Servers, live: Settings, commands: Commands
) -> None:
    pause, resume = breaking(servers, "hung")
    player = Player(commands)
    numbers = itertools.count()
    statuses: list[str] = []
    for number in range(40):  # until Kafka went silent in the middle of one
        sent = heartbeats(numbers, 500, rendition="x" * 400)
        reporting = asyncio.create_task(player.post(sent))
        await asyncio.sleep(0.005 * (number % 20))
        await pause()
        reply = await reporting
        await resume()
        await commands.until(lambda missing: missing == {}, READY_AGAIN_WITHIN_S)
        if reply.status_code == 200:
            statuses = [result["status"] for result in reply.json()["results"]]
            if {"ok", "retry"} == set(statuses):
                break
    first = statuses.index("retry")
    assert statuses == ["ok"] * first + ["retry"] * (500 - first)
    assert reply.headers["retry-after"] == "1"
    kept = {each["seq"] for each in sent[:first]}
    [recorded] = (await on_topic(live, [player])).values()
    assert kept <= recorded
    assert await player.report(sent[first:]) == []
    [recorded] = (await on_topic(live, [player])).values()
    assert {each["seq"] for each in sent} <= recorded


@pytest.mark.parametrize(
    ("bound", "size", "refusal"),
    [
        ({"rate_ingest": "40 per 10 s"}, 1, "rate-limited"),
        ({"produce_inflight_key_max_bytes": MIB // 4, "rate_ingest": "99999 per 10 s"}, 200, "too-much-in-flight"),
    ],
    ids=["by its reports", "by its bytes"],
)
async def test_a_session_that_floods_is_limited_alone(
    live: Settings, tmp_path: Path, bound: dict[str, object], size: int, refusal: str
) -> None:
    async with running(live, tmp_path, **bound) as commands:
        quiet_s = await latencies_of_others(commands, 3)
        flooding, problems = Player(commands), set()
        body = msgspec.json.encode({"sent_at": utc_now(), "events": heartbeats(itertools.count(), size)})

        async def flood() -> None:
            while True:
                await asyncio.sleep(0.02)  # the flood itself shares the loop with those who measure
                reply = await flooding.send(body)
                if reply.status_code != 200:
                    problems.add(reply.json()["type"].rpartition("/")[2])
                    assert int(reply.headers["retry-after"]) > 0

        floods = [asyncio.create_task(flood()) for _ in range(8)]
        meanwhile_s = await latencies_of_others(commands, 6)
        for task in floods:
            task.cancel()
        statuses = [code for _, code, _ in flooding.took_s]
        print(
            f"quiet: p50 {median(quiet_s) * 1e3:.0f} ms, p99 {p99(quiet_s) * 1e3:.0f} ms; beside a flood: p50"
            f" {median(meanwhile_s) * 1e3:.0f} ms, p99 {p99(meanwhile_s) * 1e3:.0f} ms; of the flood"
            f" {statuses.count(429)} refused of {len(statuses)} ({refusal})"
        )
        assert problems == {refusal}
        assert set(statuses) == {200, 429}
        assert median(meanwhile_s) < SLOWER_AT_MOST * median(quiet_s) + 0.1


async def latencies_of_others(commands: Commands, seconds: float) -> list[float]:
    """What reports of well-behaved players take, none of which is refused."""
    others, is_over = [Player(commands) for _ in range(10)], asyncio.Event()
    playing = [asyncio.create_task(player.play(is_over, pause_s=0.5)) for player in others]
    await asyncio.sleep(seconds)
    is_over.set()
    await asyncio.gather(*playing)
    assert {code for player in others for _, code, _ in player.took_s} == {200}
    return [took_s for player in others for took_s in player.latencies(200)]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
async def test_bodies_beyond_the_room_are_refused_before_memory_grows(
    live: Settings, tmp_path: Path, announced: bool
) -> None:
    async with running(live, tmp_path, ingest_inflight_max_bytes=16 * MIB) as commands:
        await Player(commands).report(heartbeats(itertools.count(), EVENTS))
        before_mb = commands.memory_mb
        slow = [asyncio.create_task(unfinished(Player(commands), 900_000, announced=announced)) for _ in range(100)]
        await asyncio.wait(slow, timeout=8)
        heads = [task.result() for task in slow if task.done()]
        held_bytes = await commands.gauge("playhead_http_bodies_inflight_bytes")
        grown_mb = commands.memory_mb - before_mb
        print(f"100 bodies of 900 kB: {held_bytes / 1e6:.1f} MB held, {grown_mb:.0f} MB more; {len(heads)} refused")
        assert held_bytes <= 16 * MIB
        assert len(heads) >= 80
        assert all(b" 503 " in head and b"retry-after: 1" in head for head in heads)
        assert grown_mb < GROWTH_MAX_MB / 2
        for task in slow:
            task.cancel()


async def unfinished(player: Player, size: int, *, announced: bool) -> bytes:
    """Send a body that never ends; the head of the reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", player.commands.port)
    framing = b"Content-Length: 1000000" if announced else b"Transfer-Encoding: chunked"
    head = f"POST /v1/playback/sessions/{player.session_id}/events HTTP/1.1\r\nHost: a\r\n"
    head += f"Authorization: Bearer {player.token}\r\n"
    body = bytes(size) if announced else b"%x\r\n%s\r\n" % (size, bytes(size))
    try:
        writer.write(head.encode() + framing + b"\r\n\r\n" + body)
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


@pytest.fixture
async def publisher(live: Settings) -> AsyncIterator[Publisher]:
    publisher = Publisher(live)
    await publisher.start()
    await _until_publishing(publisher)
    yield publisher
    await publisher.stop()


async def _until_publishing(publisher: Publisher) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await publisher.publish(PLAYBACK.name, "anybody", [b"{}"])
                return
            except KafkaUnavailable:
                await asyncio.sleep(0.05)


async def test_a_producer_whose_sender_died_is_replaced(publisher: Publisher) -> None:
    dead = publisher._link._producer
    assert dead is not None
    dead._sender.sender_task.cancel()
    await _until_publishing(publisher)
    async with asyncio.timeout(5):
        while publisher._link._producer in (dead, None):
            await asyncio.sleep(0.05)
    await _until_publishing(publisher)
    assert publisher.ready


async def test_a_producer_that_kafka_refuses_for_a_gap_in_its_numbers_is_replaced(publisher: Publisher) -> None:
    refused = publisher._link._producer
    assert refused is not None
    for place in refused._txn_manager._sequence_numbers:
        refused._txn_manager.increment_sequence_number(place, 7)
    with pytest.raises(KafkaUnavailable, match="OutOfOrderSequenceNumber"):
        await publisher.publish(PLAYBACK.name, "anybody", [b"{}"])
    await _until_publishing(publisher)
    assert publisher._link._producer is not refused


async def test_a_process_that_ends_while_kafka_is_silent_ends(servers: Servers, live: Settings, tmp_path: Path) -> None:
    pause, resume = breaking(servers, "hung")
    async with running(live, tmp_path) as commands:
        await Player(commands).report(heartbeats(itertools.count(), EVENTS))
        await pause()
        try:
            waiting = asyncio.create_task(Player(commands).post(heartbeats(itertools.count(), EVENTS)))
            await asyncio.sleep(0.5)
            assert await asyncio.to_thread(commands.terminate) == 0
            assert (await waiting).status_code == 503
        finally:
            await resume()
