"""The reaper process on real servers, beside a projection and players: who is over is expired, nobody who plays."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from events.playback import PlaybackSessionExpired, SessionSnapshot
from events.registry import REGISTRY
from events.topics import PLAYBACK
from events.types import ProfileId
from infra.access.permissions import Principal
from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.ids import new_id
from infra.kafka import access
from infra.postgres import Pool
from infra.settings import Settings
from tests.builders import playback_started, session
from tests.integration.households import House, running_house
from tests.integration.projection_workers import PlayheadProcess, Worker, eventually, produce
from tests.integration.showing import shown
from tests.servers import Servers

pytestmark = pytest.mark.integration

SILENT_S = 3.0
STANDING_S = 6.0
EXPIRED = "playhead_sessions_expired_total"


@dataclass
class Player:
    """A player with a session, which reports over HTTP."""

    client: httpx.AsyncClient
    session_id: str
    token: str
    seq: int = -1
    position_ms: int = 0

    async def report(self, *, moves: bool = True, kind: str = "heartbeat") -> httpx.Response:
        """One event, now; a playhead that moves plays as fast as it likes."""
        self.seq += 1
        self.position_ms += 1_000 if moves else 0
        now = utc_now().isoformat()
        event = {"seq": self.seq, "type": kind, "at": now, "position_ms": self.position_ms}
        return await self.client.post(
            f"/v1/playback/sessions/{self.session_id}/events",
            json={"sent_at": now, "events": [event]},
            headers={"Authorization": f"Bearer {self.token}"},
        )

    async def play(self, for_s: float, *, moves: bool = True) -> None:
        """Report twice a second; every report is taken."""
        for _ in range(int(for_s * 2)):
            assert (await self.report(moves=moves)).status_code == 200
            await asyncio.sleep(0.5)

    async def keep_trying(self) -> None:
        """Report twice a second, whatever the answer; for ever."""
        while True:
            await self.report()
            await asyncio.sleep(0.5)


@dataclass
class Evening:
    """What runs, and what became of sessions in it."""

    house: House
    pool: Pool
    settings: Settings
    directory: Path
    title_id: str

    def reaper(self, **changes: object) -> PlayheadProcess:
        bounds = {"session_silent_s": SILENT_S, "session_standing_s": STANDING_S, "reaper_poll_interval_s": 0.1}
        return PlayheadProcess(("reaper",), self.settings, self.directory, **{**bounds, **changes})

    def projection(self, store: str = "postgres") -> Worker:
        return Worker(store, self.settings, self.directory)

    async def player(self) -> Player:
        name = new_id()
        viewer = Principal(subject=name, account_id=f"account-{name}", profile_id=f"profile-{name}")
        reply = await self.house.client.post(
            "/v1/playback/sessions",
            json={"title_id": self.title_id, "device": {"device_id": "tv-1", "type": "tv"}},
            headers={"Authorization": f"Bearer {self.house.app.state.tokens.mint_access(viewer)}"},
        )
        assert reply.status_code == 201, reply.text
        return Player(self.house.client, reply.json()["session_id"], reply.json()["playback_token"])

    async def row(self, session_id: str) -> asyncpg.Record | None:
        return await self.pool.fetchrow("select * from playback_sessions where session_id = $1", session_id)

    async def becomes(self, session_id: str, state: str) -> asyncpg.Record:
        """The row, once the session is in this state."""

        async def is_so() -> bool:
            row = await self.row(session_id)
            return row is not None and row["state"] == state

        await eventually(is_so)
        row = await self.row(session_id)
        assert row is not None
        return row

    async def behind_s(self, now: datetime, session_id: str) -> float:
        """How long the view has not heard of a session."""
        row = await self.row(session_id)
        assert row is not None
        silence: timedelta = now - row["last_recorded_at"]
        return silence.total_seconds()

    async def expiries(self, prefix: str) -> list[str]:
        """The sessions of each PlaybackSessionExpired in Kafka whose id begins so."""
        consumer = AIOKafkaConsumer(**access(self.settings), enable_auto_commit=False)
        await consumer.start()
        try:
            places = [TopicPartition(PLAYBACK.name, number) for number in range(self.settings.playback_partitions)]
            consumer.assign(places)
            await consumer.seek_to_beginning()
            ends, found = await consumer.end_offsets(places), []
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    ours = [record.value for record in records if prefix.encode() in (record.value or b"")]
                    events = [REGISTRY.decode(value).data for value in ours]
                    found += [each.session.session_id for each in events if isinstance(each, PlaybackSessionExpired)]
        finally:
            await consumer.stop()
        return [session_id for session_id in found if session_id.startswith(prefix)]


@pytest.fixture(scope="module")
async def evening(live: Settings, postgres: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evening]:
    title_id = f"film-{new_id()}"
    await postgres.execute(
        """insert into catalog_titles (title_id, kind, name, synopsis, duration_ms, minimum_age, availability, seasons,
               published_at)
           values ($1, 'movie', 'Film', '', 888000, 0, '[]', '[]', now())""",
        title_id,
    )
    await shown(postgres, title_id)
    async with running_house(live) as house:
        yield Evening(house, postgres, live, Path(tmp_path_factory.mktemp("reaper")), title_id)


@pytest.fixture
def running() -> Iterator[list[PlayheadProcess]]:
    """Processes that are ended after the test."""
    started: list[PlayheadProcess] = []
    yield started
    for process in started:
        process.close()


async def test_a_silent_session_is_expired_and_what_still_comes_is_history(
    evening: Evening, running: list[PlayheadProcess]
) -> None:
    running += [evening.projection(), evening.projection("cassandra"), evening.reaper()]
    player = await evening.player()
    await player.report(kind="started")
    await player.report()
    row = await evening.becomes(player.session_id, "expired")
    assert (row["exit_reason"], row["ended_at"]) == (
        "expired",
        row["last_recorded_at"] + timedelta(seconds=SILENT_S),
    )
    assert await running[-1].metric(EXPIRED, reason="silent") >= 1

    late = await player.report()
    assert (late.status_code, late.content) == (410, b"")
    await _counted(evening, player.session_id, row["event_count"] + 1)
    after = await evening.row(player.session_id)
    assert after is not None
    assert {name: after[name] for name in ("state", "exit_reason", "ended_at")} == {
        name: row[name] for name in ("state", "exit_reason", "ended_at")
    }
    assert await _timeline(evening.settings, player.session_id, player.seq)
    assert running[-1].terminate() == 0


async def _counted(evening: Evening, session_id: str, events: int) -> None:
    async def is_so() -> bool:
        row = await evening.row(session_id)
        return row is not None and row["event_count"] == events

    await eventually(is_so)


async def _timeline(settings: Settings, session_id: str, seq: int) -> bool:
    """Whether the timeline comes to hold an event."""
    cassandra = await Cassandra.connect(settings)
    try:

        async def is_there() -> bool:
            cql = "select seq from session_timeline where session_id = %s and seq = %s"
            return bool(await cassandra.execute(cql, (session_id, seq)))

        await eventually(is_there)
    finally:
        await cassandra.close()
    return True


async def test_a_session_that_stands_is_expired_while_it_reports(
    evening: Evening, running: list[PlayheadProcess]
) -> None:
    running += [evening.projection(), evening.reaper()]
    player = await evening.player()
    await player.report(kind="started")
    async with asyncio.timeout(30):
        while (reply := await player.report(moves=False)).status_code == 200:
            await asyncio.sleep(0.5)
    assert (reply.status_code, reply.content) == (410, b"")
    row = await evening.becomes(player.session_id, "expired")
    assert row["ended_at"] == row["moved_at"] + timedelta(seconds=STANDING_S)
    assert await running[-1].metric(EXPIRED, reason="standing") >= 1


async def test_nobody_who_plays_is_expired_while_the_view_stands(
    evening: Evening, running: list[PlayheadProcess]
) -> None:
    projection, reaper = evening.projection(), evening.reaper()
    running += [projection, reaper]
    player, silent = await evening.player(), await evening.player()
    await player.play(2 * SILENT_S)
    await evening.becomes(silent.session_id, "expired")  # it does its work
    projection.kill()
    await player.play(2 * SILENT_S)
    assert await evening.behind_s(utc_now(), player.session_id) > SILENT_S
    assert await reaper.is_ready()
    assert await reaper.metric("playhead_reaper_partitions_unjudged") >= 1
    running.append(evening.projection())
    await player.play(3 * SILENT_S)
    row = await evening.row(player.session_id)
    assert row is not None
    assert row["state"] == "playing"
    assert await evening.expiries(player.session_id) == []
    await evening.becomes(player.session_id, "expired")
    assert await evening.expiries(player.session_id) == [player.session_id]


async def test_a_reaper_that_is_killed_leaves_the_rest_to_the_next(
    evening: Evening, running: list[PlayheadProcess]
) -> None:
    prefix = f"left-{new_id()}"
    gone = [_left(f"{prefix}-{number}", number) for number in range(400)]
    await produce(evening.settings, [playback_started(each) for each in gone])
    running.append(evening.projection())
    for _ in range(2):
        reaper = evening.reaper(reaper_batch_rows=5)
        running.append(reaper)
        before = await _expired(evening, prefix)

        async def works(before: int = before) -> bool:
            return await _expired(evening, prefix) > before

        await eventually(works)
        reaper.kill()
    running += [evening.reaper(), evening.reaper()]

    async def all_are() -> bool:
        return await _expired(evening, prefix) == len(gone)

    await eventually(all_are)
    rows = await evening.pool.fetch("select * from playback_sessions where session_id like $1", f"{prefix}%")
    assert {row["ended_at"] - row["last_recorded_at"] for row in rows} == {timedelta(seconds=SILENT_S)}
    published = await evening.expiries(prefix)
    assert set(published) == {each.session_id for each in gone}
    assert len(published) <= 2 * len(gone) + 10  # two at once say it twice; of those killed, what was on its way


def _left(session_id: str, number: int) -> SessionSnapshot:
    changes: dict[str, Any] = {"profile_id": ProfileId(f"profile-{number % 40}"), "started_at": utc_now()}
    return session(session_id, **changes)


async def _expired(evening: Evening, prefix: str) -> int:
    """How many of these sessions are."""
    sql = "select count(*)::int from playback_sessions where session_id like $1 and state = 'expired'"
    count: int = await evening.pool.fetchval(sql, f"{prefix}%")
    return count


@pytest.mark.parametrize("server", ["postgres", "kafka"])
async def test_a_server_that_is_away_is_waited_for_and_makes_nobody_silent(
    servers: Servers, evening: Evening, running: list[PlayheadProcess], server: str
) -> None:
    bound_s = 8.0
    reaper = evening.reaper(session_silent_s=bound_s)
    running += [evening.projection(), reaper]
    player = await evening.player()
    await player.play(bound_s + 2)
    await eventually(reaper.is_ready)
    trying = asyncio.create_task(player.keep_trying())
    await asyncio.to_thread(servers.stop, server)
    try:

        async def is_unready() -> bool:
            return bool(await reaper.ready())

        await eventually(is_unready)
        await asyncio.sleep(bound_s + 2)
    finally:
        await asyncio.to_thread(servers.start, server)
    await eventually(reaper.is_ready)
    await asyncio.sleep(bound_s + 2)
    trying.cancel()
    assert (await player.report()).status_code == 200
    assert await evening.expiries(player.session_id) == []
    await evening.becomes(player.session_id, "expired")


async def test_without_redis_sessions_expire_all_the_same(
    servers: Servers, evening: Evening, running: list[PlayheadProcess]
) -> None:
    running += [evening.projection(), evening.reaper()]
    player = await evening.player()
    await player.report()
    await asyncio.to_thread(servers.stop, "redis")
    try:
        await evening.becomes(player.session_id, "expired")
    finally:
        await asyncio.to_thread(servers.start, "redis")

    async def is_told() -> bool:
        reply = await player.report()
        return (reply.status_code, reply.content) == (410, b"")

    await eventually(is_told)
