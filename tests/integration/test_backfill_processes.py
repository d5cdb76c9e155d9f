"""A backfill through the real processes, from the request to the views: it delays nothing that is live, and every event
counts once, whoever is killed in the middle.
"""

import asyncio
import gzip
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import aiohttp
import msgspec
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from commands.playback.backfill_process import GROUP
from commands.playback.grants import Grant
from events.playback import Heartbeat, SessionSnapshot, Stopped
from events.topics import BACKFILL
from infra.access.permissions import Principal, Scope
from infra.access.tokens import Tokens
from infra.clock import monotonic_s, utc_now
from infra.ids import new_id
from infra.kafka import new_producer
from infra.postgres import Pool
from infra.redis import connect
from infra.settings import Settings, environment_of_child
from tests import builders
from tests.integration.projection_workers import Worker, eventually, free_port, produce

pytestmark = pytest.mark.integration

SESSIONS, REPORTS = 100, 99
LINES: Final = SESSIONS * (REPORTS + 1)
LAST_YEAR: Final = datetime.fromisoformat("2025-11-21T19:00:00Z")
IMPORTER: Final = Principal(subject="importer", scopes=frozenset({Scope.PLAYBACK_IMPORT}))
LIVE_EVERY_S: Final = 0.1
PER_S: Final = 2_000
PATIENCE_S: Final = 240.0
STORES: Final = ("postgres", "redis", "cassandra")
"""All of them: a backfill waits for every store whose projection has ever run, as other tests' may have."""


class Process:
    """A process of `playhead <name>`, on a port of its own."""

    def __init__(self, name: str, live: Settings, directory: Path, port_setting: str, **told: object) -> None:
        self.port = free_port()
        self._log = (directory / f"{name}-{self.port}.log").open("wb")
        environment = environment_of_child(
            state_dir=directory,
            kafka_bootstrap=live.kafka_bootstrap,
            postgres_dsn=live.postgres_dsn,
            cassandra_host=live.cassandra_host,
            cassandra_port=live.cassandra_port,
            redis_url=live.redis_url,
            **{port_setting: self.port, **told},
        )
        self._process = subprocess.Popen([sys.executable, "-m", "playhead", name], env=environment, stderr=self._log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """As a crash would."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def terminate(self) -> int:
        """As an orderly supervisor would; the exit code."""
        self._process.terminate()
        return self._process.wait(20)

    async def is_ready(self) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"http://127.0.0.1:{self.port}/ready") as reply,
            ):
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    async def metric(self, name: str) -> float:
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.port}/metrics") as reply:
            lines = (await reply.text()).splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


class House:
    """The processes that a backfill goes through, and what is asked of them."""

    def __init__(self, live: Settings, directory: Path) -> None:
        self._live = live
        self._directory = directory
        self._all: list[Process] = []
        self.tokens = Tokens(live.model_copy(update={"state_dir": directory}))
        self.commands = self.start_commands()
        self.backfill = self.start_backfill()

    def start_commands(self) -> Process:
        self.commands = self._start("commands", "commands_port")
        return self.commands

    def start_backfill(self) -> Process:
        self.backfill = self._start(
            "backfill", "probe_port", backfill_max_events_per_s=PER_S, offsets_mirror_interval_s=1
        )
        return self.backfill

    def _start(self, name: str, port_setting: str, **told: object) -> Process:
        self._all.append(Process(name, self._live, self._directory, port_setting, **told))
        return self._all[-1]

    def close(self) -> None:
        for process in self._all:
            process.kill()

    async def is_paused(self) -> bool:
        """Whether the backfill waits for the views."""
        return await self.backfill.metric("playhead_backfill_paused") == 1

    async def send(self, body: "bytes | AsyncIterator[bytes]", key: str, **headers: str) -> list[dict[str, Any]]:
        """The lines of the reply to a backfill."""
        headers |= {"Authorization": f"Bearer {self.tokens.mint_access(IMPORTER)}", "Idempotency-Key": key}
        url = f"http://127.0.0.1:{self.commands.port}/v1/playback/backfill"
        async with aiohttp.ClientSession() as client, client.post(url, data=body, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            return [msgspec.json.decode(line) for line in (await reply.read()).splitlines()]


@pytest.fixture(scope="module")
def workers(live: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    directory = tmp_path_factory.mktemp("projections")
    started = [Worker(store, live, directory) for store in STORES]
    yield started
    for worker in started:
        worker.close()


@pytest.fixture
async def house(live: Settings, workers: list[Worker], tmp_path: Path) -> AsyncIterator[House]:
    opened = House(live, tmp_path)
    try:
        for worker in workers:
            await eventually(worker.is_ready)
        for process in (opened.commands, opened.backfill):
            await eventually(process.is_ready)
        yield opened
    finally:
        opened.close()


def sessions(prefix: str) -> list[SessionSnapshot]:
    return [
        builders.session(f"{prefix}-{n}", profile_id=f"{prefix}-p{n // 4}", started_at=LAST_YEAR)
        for n in range(SESSIONS)
    ]


def lines_of(all_sessions: list[SessionSnapshot]) -> list[bytes]:
    """Their starts, then their reports, side by side."""
    lines = [msgspec.json.encode({"session": each, "start_position_ms": 0}) for each in all_sessions]
    for seq in range(REPORTS):
        report = builders.report(seq=seq, at=LAST_YEAR + timedelta(seconds=10 * seq))
        lines += [msgspec.json.encode({"session": each, "report": report}) for each in all_sessions]
    return lines


async def counted(postgres: Pool, prefix: str) -> dict[int, int]:
    """How many sessions have so many events."""
    rows = await postgres.fetch(
        "select event_count, count(*) as sessions from playback_sessions where session_id like $1 group by 1",
        f"{prefix}-%",
    )
    return {row["event_count"]: row["sessions"] for row in rows}


@asynccontextmanager
async def live_viewer(house: House, postgres: Pool) -> AsyncIterator[list[float]]:
    """Somebody who watches meanwhile: how many seconds each of their reports took to be seen in the view."""
    seen_s: list[float] = []
    watching = asyncio.create_task(_watch(house, postgres, seen_s))
    try:
        yield seen_s
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(house: House, postgres: Pool, seen_s: list[float]) -> None:
    of = builders.session(new_id(), profile_id=new_id(), started_at=utc_now())
    token = house.tokens.mint_playback(Grant(session=of), utc_now() + timedelta(hours=1))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as client:
        seq = 0
        while True:
            now = utc_now()
            body = {"sent_at": now, "events": [builders.report(Heartbeat, seq, at=now, position_ms=seq * 100)]}
            url = f"http://127.0.0.1:{house.commands.port}/v1/playback/sessions/{of.session_id}/events"
            try:
                async with client.post(url, data=msgspec.json.encode(body)) as reply:
                    assert reply.status == 200, await reply.text()
            except aiohttp.ClientError:  # killed: it goes on when another is there
                await asyncio.sleep(LIVE_EVERY_S)
                continue
            began_s = monotonic_s()
            found = "select last_seq from playback_sessions where session_id = $1"
            while (await postgres.fetchval(found, of.session_id) or 0) < seq:
                await asyncio.sleep(0.01)
            seen_s.append(monotonic_s() - began_s)
            seq += 1
            await asyncio.sleep(LIVE_EVERY_S)


async def test_a_backfill_does_not_delay_what_is_live(house: House, postgres: Pool) -> None:
    prefix = new_id()
    async with live_viewer(house, postgres) as seen_s:
        await eventually(lambda: _is(len(seen_s) >= 30))
        before = seen_s[-20:]
        seen_s.clear()
        began_s = monotonic_s()
        reply = await house.send(b"\n".join(lines_of(sessions(prefix))), new_id())
        sent_s = monotonic_s() - began_s
        assert reply[-1]["done"], reply[-1]
        assert reply[-1]["accepted"] == LINES
        await eventually(lambda: _are(postgres, prefix), PATIENCE_S)
        moved_s = monotonic_s() - began_s
        during = list(seen_s)
    print(
        f"\n{LINES} events taken in {sent_s:.1f} s ({LINES / sent_s:.0f}/s), in the view after {moved_s:.1f} s;"
        f" live events seen without: median {median(before) * 1000:.0f} ms, worst {max(before) * 1000:.0f} ms;"
        f" meanwhile ({len(during)}): median {median(during) * 1000:.0f} ms, worst {max(during) * 1000:.0f} ms"
    )
    assert moved_s > LINES / PER_S - 1, "faster than its pace"
    assert len(during) >= 10
    assert quantiles(during, n=10)[-1] < 2  # 9 of 10: on a busy machine one may stand behind the whole of it


async def _is(what: bool) -> bool:
    return what


async def _are(postgres: Pool, prefix: str) -> bool:
    """Whether all of a backfill is in the view."""
    return await counted(postgres, prefix) == {REPORTS + 1: SESSIONS}


async def test_every_event_counts_once_whoever_is_killed(house: House, postgres: Pool) -> None:
    prefix, key = new_id(), new_id()
    lines = lines_of(sessions(prefix))

    async def slowly(end: int = LINES) -> AsyncIterator[bytes]:
        for at in range(0, end, 1_000):
            yield b"".join(line + b"\n" for line in lines[at : at + 1_000])
            await asyncio.sleep(0.2)

    async def cut_off() -> AsyncIterator[bytes]:
        async for some in slowly(LINES * 6 // 10):
            yield some
        await asyncio.sleep(PATIENCE_S)  # by then it is killed

    sending = asyncio.create_task(house.send(cut_off(), key))
    await eventually(lambda: _is_moving(postgres, prefix))
    house.commands.kill()
    with pytest.raises(aiohttp.ClientError):
        await sending
    await eventually(house.start_commands().is_ready)
    again = asyncio.create_task(house.send(slowly(), key))
    for _ in range(3):
        await asyncio.sleep(1)
        house.backfill.kill()
        house.start_backfill()
    reply = await again
    assert reply[-1]["done"], reply[-1]
    assert reply[-1]["duplicates"] > 0
    assert reply[-1]["duplicates"] + reply[-1]["accepted"] == LINES
    print(f"\nkilled after {reply[-1]['duplicates']} of {LINES} lines; the moving process three times")
    await eventually(lambda: _are(postgres, prefix), PATIENCE_S)
    await asyncio.sleep(1)  # what comes twice would have come
    assert await counted(postgres, prefix) == {REPORTS + 1: SESSIONS}


async def _is_moving(postgres: Pool, prefix: str) -> bool:
    return sum(events * sessions for events, sessions in (await counted(postgres, prefix)).items()) > 3_000


async def test_a_title_that_was_downloaded_and_reported_late_overrides_nothing_newer(
    house: House, live: Settings, postgres: Pool
) -> None:
    """Watched offline three days ago, then on the television yesterday; the telephone comes online today."""
    profile, film = new_id(), builders.movie(new_id())
    offline = builders.session(new_id(), profile_id=profile, title=film, started_at=utc_now() - timedelta(days=3))
    online = builders.session(new_id(), profile_id=profile, title=film, started_at=utc_now() - timedelta(days=1))
    other = builders.session(new_id(), profile_id=profile, title=builders.movie("other"), started_at=utc_now())
    await house.send(b"\n".join(watched(online, minutes=50)), new_id())
    await eventually(lambda: is_resumed_at(live, online, 50))

    token = house.tokens.mint_playback(Grant(session=offline, offline=True), utc_now() + timedelta(days=30))
    lines = [msgspec.json.encode(msgspec.json.decode(line)["report"]) for line in watched(offline, minutes=20)[1:]]
    url = f"http://127.0.0.1:{house.commands.port}/v1/playback/sessions/{offline.session_id}/backfill"
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": new_id()}
    async with aiohttp.ClientSession() as client, client.post(url, data=b"\n".join(lines), headers=headers) as reply:
        assert reply.status == 200, await reply.text()
    await house.send(b"\n".join(watched(other, minutes=10)), new_id())

    await eventually(lambda: is_resumed_at(live, other, 10))  # of the same profile, so what was late is applied too
    assert await is_resumed_at(live, online, 50)
    found = "select state from playback_sessions where session_id = $1"

    async def has_ended() -> bool:
        return bool(await postgres.fetchval(found, offline.session_id) == "ended")

    await eventually(has_ended)


def watched(of: SessionSnapshot, *, minutes: int) -> list[bytes]:
    """A session that is watched from its start for so long, as an importer's lines."""
    lines = [msgspec.json.encode({"session": of, "start_position_ms": 0})]
    for minute in range(minutes + 1):
        at = of.started_at + timedelta(minutes=minute)
        kind = Heartbeat if minute < minutes else Stopped
        report = builders.report(kind, minute, at=at, position_ms=minute * 60_000)
        lines.append(msgspec.json.encode({"session": of, "report": report}))
    return lines


async def is_resumed_at(live: Settings, of: SessionSnapshot, minutes: int) -> bool:
    """Whether continue watching shows that session's title, and at which place."""
    redis = connect(live)
    try:
        value = await redis.hget(f"continue_watching:{{{of.profile_id}}}", of.title.title_id)
    finally:
        await redis.aclose()
    if not isinstance(value, bytes):
        return False
    row = msgspec.json.decode(value[value.index(b"{") :])
    return bool((row["session_id"], row["position_ms"]) == (of.session_id, minutes * 60_000))


async def test_a_poisoned_record_is_set_aside_and_holds_up_nothing(
    house: House, live: Settings, postgres: Pool
) -> None:
    one = builders.session(new_id(), profile_id=new_id(), started_at=LAST_YEAR)
    producer = new_producer(live)
    await producer.start()
    poison = new_id().encode()
    for value in (b"not an envelope " + poison, poison, b""):
        await producer.send_and_wait(BACKFILL.name, value, key=one.profile_id.encode())
    await producer.stop()
    await house.send(b"\n".join(watched(one, minutes=3)), new_id())
    found = "select event_count from playback_sessions where session_id = $1"
    await eventually(lambda: counts(postgres, found, one.session_id, 5))
    letters = "select count(*) from dead_letters where projection = 'backfill' and position($1::bytea in body) > 0"
    await eventually(lambda: counts(postgres, letters, poison, 2))
    assert await house.backfill.is_ready()
    assert await house.backfill.metric("playhead_backfill_waiting_records") == 0


async def counts(postgres: Pool, query: str, of: object, expected: int) -> bool:
    return bool(await postgres.fetchval(query, of) == expected)


@pytest.mark.parametrize("store", [0, 1], ids=["postgres", "redis"])
async def test_while_the_views_of_a_store_are_behind_nothing_is_moved(
    house: House, live: Settings, workers: list[Worker], postgres: Pool, store: int
) -> None:
    """Its projection stopped, they fall behind by what is live; the backfill waits for them."""
    prefix, one = new_id(), builders.session(new_id(), profile_id=new_id(), started_at=utc_now())
    workers[store].process.send_signal(signal.SIGSTOP)
    try:
        await produce(live, [builders.reported(Heartbeat, seq % 500, of=one) for seq in range(2_500)])
        await asyncio.sleep(4)  # a store that is not Postgres says only now and then how far it is
        await house.send(b"\n".join(lines_of(sessions(prefix))[:1_000]), new_id())
        await eventually(house.is_paused)
        moved = await house.backfill.metric("playhead_backfill_moved_total")
        await asyncio.sleep(2)
        assert await house.backfill.metric("playhead_backfill_moved_total") == moved
        assert await house.backfill.is_ready()
    finally:
        workers[store].process.send_signal(signal.SIGCONT)
    query = "select sum(event_count) from playback_sessions where session_id like $1"
    await eventually(lambda: counts(postgres, query, f"{prefix}-%", 1_000))


async def test_a_request_of_100_000_events_takes_no_memory_for_them(house: House, live: Settings) -> None:
    assert house.backfill.terminate() == 0
    commands = psutil.Process(house.commands.pid)
    lines = [line for _ in range(10) for line in lines_of(sessions(new_id()))]
    body = gzip.compress(b"\n".join(lines), 1)
    await house.send(b"\n".join(lines[:2_000]), new_id())
    before, held = commands.memory_info().rss, [commands.memory_info().rss]

    async def look() -> None:
        while True:
            held.append(commands.memory_info().rss)
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    began_s = monotonic_s()
    reply = await house.send(body, new_id(), **{"Content-Encoding": "gzip"})
    took_s = monotonic_s() - began_s
    looking.cancel()
    mib = 2**20
    print(
        f"\n{len(lines)} events ({sum(map(len, lines)) / mib:.0f} MB, {len(body) / mib:.1f} MB compressed)"
        f" in {took_s:.1f} s: {before / mib:.0f} MB before, at most {max(held) / mib:.0f} MB meanwhile"
    )
    assert reply[-1]["accepted"] == len(lines) == 100_000
    assert max(held) - before < 40 * mib
    await forget(live)


async def forget(live: Settings) -> None:
    """Let nobody move what waits."""
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(BACKFILL.name, number) for number in range(live.playback_partitions)])
    await consumer.commit(await consumer.end_offsets(consumer.assignment()))
    await consumer.stop()
