"""Backfills over sockets, on real servers: lines in, lines out, and what Kafka holds of them afterwards."""

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp
import brotli
import msgspec
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from backports import zstd

from commands.app import create_app
from commands.playback.grants import Grant
from events.envelope import Event, Recorded
from events.playback import PlaybackStarted, SessionSnapshot
from events.registry import REGISTRY
from events.topics import BACKFILL
from infra.access.permissions import Principal, Scope
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.http.server import config_of
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests import builders

pytestmark = pytest.mark.integration

IMPORTER: Final = Principal(subject="importer", scopes=frozenset({Scope.PLAYBACK_IMPORT}))
LAST_YEAR: Final = datetime.fromisoformat("2025-11-21T19:00:00Z")


@dataclass
class Reply:
    """A reply to a backfill, read to its end."""

    status: int
    headers: "Any"
    lines: list[dict[str, Any]]

    @property
    def summary(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def results(self) -> list[dict[str, Any]]:
        return self.lines[:-1]

    @property
    def statuses(self) -> list[str]:
        return [line["status"] for line in self.results]

    @property
    def problem(self) -> tuple[int, str]:
        return self.status, str(self.lines[0]["type"]).rpartition("/")[2]


class Door:
    """The commands API on a port, and who knocks at it."""

    def __init__(self, settings: Settings, url: str, client: aiohttp.ClientSession) -> None:
        self.settings = settings
        self.url = url
        self.client = client
        self.tokens = Tokens(settings)

    async def send(
        self,
        body: "bytes | AsyncIterator[bytes]",
        *,
        path: str = "/v1/playback/backfill",
        token: str | None = None,
        key: str | None = None,
        **headers: str,
    ) -> Reply:
        sent = {"Authorization": f"Bearer {token or self.tokens.mint_access(IMPORTER)}", **headers}
        if key != "":
            sent["Idempotency-Key"] = key or new_id()
        async with self.client.post(self.url + path, data=body, headers=sent) as reply:
            text = await reply.read()
            return Reply(reply.status, reply.headers, [msgspec.json.decode(line) for line in text.splitlines()])

    async def break_off(self, sent: bytes, *, key: str) -> None:
        """Send the beginning of a body, read nothing, and be gone."""
        _, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        token = self.tokens.mint_access(IMPORTER)
        head = f"POST /v1/playback/backfill HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{head}Idempotency-Key: {key}\r\nContent-Length: {2 * len(sent)}\r\n\r\n".encode() + sent)
        await writer.drain()
        await asyncio.sleep(1)
        writer.transport.abort()
        await asyncio.sleep(0.2)

    async def progress(self, key: str, who: Principal = IMPORTER) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.tokens.mint_access(who)}"}
        async with self.client.get(f"{self.url}/v1/playback/backfill/{key}", headers=headers) as reply:
            found: dict[str, Any] = await reply.json(content_type=None)
            return reply.status, found


@pytest.fixture(scope="module")
async def door(live: Settings) -> AsyncIterator[Door]:
    async with serving(live) as opened:
        yield opened


class serving:  # noqa: N801  # used as a function
    """The API under settings, for as long as the context is open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __aenter__(self) -> Door:
        app = create_app(self._settings)
        self._server = uvicorn.Server(config_of(app, self._settings, port=0))
        self._task = asyncio.create_task(self._server._serve())
        async with asyncio.timeout(20):
            while not self._server.started or not app.state.resources.publisher.ready:
                await asyncio.sleep(0.05)
        self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return Door(self._settings, f"http://127.0.0.1:{port}", self._client)

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        self._server.should_exit = True
        await self._task


def past(**changes: Any) -> SessionSnapshot:
    """A session of last year, of a profile of its own."""
    return builders.session(new_id(), profile_id=new_id(), started_at=LAST_YEAR, **changes)


def imported(of: SessionSnapshot, reports: int, first: int = 0) -> Iterator[bytes]:
    """Its start and its reports, as an importer sends them."""
    if first == 0:
        yield msgspec.json.encode({"session": of, "start_position_ms": 0})
    for seq in range(first, reports):
        at = of.started_at + timedelta(seconds=10 * seq)
        report = builders.report(seq=seq, at=at, position_ms=seq % 500 * 10_000)
        yield msgspec.json.encode({"session": of, "report": report})


def body_of(lines: "Iterator[bytes] | list[bytes]") -> bytes:
    return b"".join(line + b"\n" for line in lines)


async def on_kafka(live: Settings, of: SessionSnapshot) -> list[Recorded[Event]]:
    """What waits in the backfill's topic of a session, in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=live.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(BACKFILL.name, each) for each in range(live.playback_partitions)]
        ends = {place: end for place, end in (await consumer.end_offsets(places)).items() if end}
        consumer.assign(list(ends))
        await consumer.seek_to_beginning()
        found = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record.value for record in records if record.key == of.profile_id.encode()]
        return [event for event in map(REGISTRY.decode, found) if event.envelope.subject == of.session_id]
    finally:
        await consumer.stop()


async def test_every_line_is_answered_in_order_and_recorded_once(live: Settings, door: Door) -> None:
    one, two = past(), past()
    lines = [line for pair in zip(imported(one, 20), imported(two, 20), strict=True) for line in pair]
    reply = await door.send(body_of(lines))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/x-ndjson")
    assert [line["line"] for line in reply.results] == list(range(1, 43))
    assert set(reply.statuses) == {"ok"}
    assert reply.summary == {
        **{"done": True, "lines": 42, "accepted": 42, "duplicates": 0, "warnings": 0, "rejected": 0, "retry": 0},
        **{"problem": None, "reason": None},
    }
    events = await on_kafka(live, one)
    assert [event.envelope.id for event in events] == [one.session_id, *(f"{one.session_id}:{n}" for n in range(20))]
    assert isinstance(events[0].data, PlaybackStarted)
    assert events[-1].envelope.time == LAST_YEAR + timedelta(seconds=190)


async def test_a_bad_line_does_not_spoil_its_neighbours(live: Settings, door: Door) -> None:
    one = past()
    lines = list(imported(one, 6))
    lines[2] = b"{not json"
    lines[4] = b"x" * (live.event_max_bytes + 1)
    lines[5:5] = [b"", b"   "]
    reply = await door.send(body_of(lines))
    assert [(line["line"], line["status"], line.get("problem")) for line in reply.results] == [
        (1, "ok", None),
        (2, "ok", None),
        (3, "rejected", "line-malformed"),
        (4, "ok", None),
        (5, "rejected", "event-too-large"),
        (8, "ok", None),
        (9, "ok", None),
    ]
    assert (reply.summary["accepted"], reply.summary["rejected"], reply.summary["done"]) == (5, 2, True)
    assert len(await on_kafka(live, one)) == 5


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: Final[list[tuple[str, Callable[[bytes], bytes]]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]


@pytest.mark.parametrize(("coding", "compress"), CODINGS, ids=["gzip", "zlib", "raw", "br", "zstd"])
async def test_a_body_may_come_compressed(door: Door, coding: str, compress: Callable[[bytes], bytes]) -> None:
    body = body_of(imported(past(), 3_000))
    assert len(body) > door.settings.request_max_bytes
    reply = await door.send(compress(body), **{"Content-Encoding": coding})
    assert Counter(reply.statuses) == {"ok": 3_001}
    assert reply.summary["done"]


async def test_a_compressed_body_that_is_cut_off_is_told_and_what_came_is_taken(door: Door) -> None:
    body = gzip.compress(body_of(imported(past(), 5_000)))
    reply = await door.send(body[: len(body) // 2], **{"Content-Encoding": "gzip"})
    assert set(reply.statuses) == {"ok"}
    assert (reply.summary["done"], reply.summary["problem"]) == (False, "encoding-malformed")
    assert reply.summary["lines"] == len(reply.results) > 500


async def test_what_cannot_be_read_at_all_is_refused_at_once(door: Door) -> None:
    assert (await door.send(b"{}", **{"Content-Encoding": "lzw"})).problem == (415, "encoding-unsupported")
    assert (await door.send(b"no gzip", **{"Content-Encoding": "gzip"})).problem == (400, "encoding-malformed")
    assert (await door.send(b"{}", key="")).problem == (400, "idempotency-key-missing")
    assert (await door.send(b"{}", key="a key/")).problem == (422, "invalid-request")
    huge = {"Content-Length": str(2**40)}
    assert (await door.send(b"{}", **huge)).problem == (413, "body-too-large")


async def test_a_body_without_lines_is_done_at_once(door: Door) -> None:
    assert (await door.send(b"")).lines == [(await door.send(b"\n\n")).summary | {"lines": 0}]


async def test_lines_are_answered_while_more_are_sent(door: Door) -> None:
    """Who waits for an answer before it goes on gets it."""
    lines = list(imported(past(), 9))
    answered = asyncio.Semaphore(0)

    async def one_by_one() -> AsyncIterator[bytes]:
        for line in lines:
            yield line + b"\n"
            async with asyncio.timeout(5):
                await answered.acquire()

    headers = {"Authorization": f"Bearer {door.tokens.mint_access(IMPORTER)}", "Idempotency-Key": new_id()}
    async with door.client.post(f"{door.url}/v1/playback/backfill", data=one_by_one(), headers=headers) as reply:
        count = 0
        async for _ in reply.content:
            count += 1
            answered.release()
    assert count == len(lines) + 1


async def test_a_request_repeated_under_its_key_is_answered_with_duplicates_and_records_nothing(
    live: Settings, door: Door
) -> None:
    one, key = past(), new_id()
    lines = [*imported(one, 40), b"bad"]
    first = await door.send(body_of(lines), key=key)
    again = await door.send(body_of(lines), key=key)
    assert first.statuses == ["ok"] * 41 + ["rejected"]
    assert again.statuses == ["duplicate"] * 41 + ["rejected"]
    assert again.summary == first.summary | {"accepted": 0, "duplicates": 41}
    assert len(await on_kafka(live, one)) == 41


async def test_a_request_that_broke_off_goes_on_where_it_was(live: Settings, door: Door) -> None:
    one, key = past(), new_id()
    lines = list(imported(one, 2_000))
    await door.break_off(body_of(lines[:1_200]) + lines[1_200][:30], key=key)
    status, progress = await door.progress(key)
    assert (status, progress["lines_done"], progress["done"]) == (200, 1_200, False)
    again = await door.send(body_of(lines), key=key)
    assert again.statuses == ["duplicate"] * 1_200 + ["ok"] * 801
    assert again.summary["done"]
    assert [event.envelope.id for event in await on_kafka(live, one)] == [
        one.session_id,
        *(f"{one.session_id}:{seq}" for seq in range(2_000)),
    ]
    assert (await door.progress(key))[1]["done"]


async def test_other_lines_under_the_same_key_are_refused(live: Settings, door: Door) -> None:
    one, other, key = past(), past(), new_id()
    lines = list(imported(one, 30))
    await door.send(body_of(lines), key=key)
    reused = (422, "idempotency-key-reused")
    assert (await door.send(body_of(imported(other, 30)), key=key)).problem == reused
    assert (await door.send(body_of([*lines[:-1], lines[0]]), key=key)).problem == reused
    assert (await door.send(body_of(lines[:-1]), key=key)).problem == reused
    assert (await door.send(body_of([*lines, lines[0]]), key=key)).problem == reused
    assert (await door.send(body_of(lines), key=key)).summary["duplicates"] == 31
    assert await on_kafka(live, other) == []


async def test_a_key_is_its_callers_own(door: Door) -> None:
    key = new_id()
    await door.send(body_of(imported(past(), 3)), key=key)
    other = Principal(subject="another-importer", scopes=IMPORTER.scopes)
    token = door.tokens.mint_access(other)
    assert (await door.progress(key, other))[0] == 404
    assert (await door.send(body_of(imported(past(), 3)), key=key, token=token)).statuses == ["ok"] * 4


async def test_progress_is_forgotten_when_it_has_expired(door: Door, postgres: Pool) -> None:
    key = new_id()
    await door.send(body_of(imported(past(), 3)), key=key)
    await postgres.execute("update backfill_progress set expires_at = now() - interval '1 s'")
    assert (await door.progress(key))[0] == 404
    await door.send(body_of(imported(past(), 1)))
    assert await postgres.fetchval("select count(*) from backfill_progress where expires_at < now()") == 0


async def test_a_request_may_hold_so_many_lines_and_says_where_to_go_on(live: Settings) -> None:
    async with serving(live.model_copy(update={"backfill_max_events": 700})) as door:
        one = past()
        reply = await door.send(body_of(imported(one, 1_000)))
        assert reply.statuses == ["ok"] * 700
        assert (reply.summary["done"], reply.summary["problem"]) == (False, "backfill-too-long")
        assert "line 701" in reply.summary["reason"]
        assert len(await on_kafka(live, one)) == 700


async def test_no_more_backfills_are_worked_on_at_a_time_than_may_be(live: Settings) -> None:
    async with serving(live.model_copy(update={"backfill_max_concurrency": 1})) as door:
        lines, go_on = list(imported(past(), 2)), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield lines[0] + b"\n"
            await go_on.wait()
            yield lines[1] + b"\n"

        sending = asyncio.create_task(door.send(slow()))
        await asyncio.sleep(0.5)
        busy = await door.send(body_of(lines))
        go_on.set()
        assert busy.problem == (503, "backfill-busy")
        assert "Retry-After" in busy.headers
        assert (await sending).statuses == ["ok"] * 2


async def test_a_body_that_stops_arriving_is_given_up_and_what_came_is_done(live: Settings) -> None:
    async with serving(live.model_copy(update={"backfill_idle_s": 0.5})) as door:
        key = new_id()

        async def stuck() -> AsyncIterator[bytes]:
            yield body_of(imported(past(), 10))
            await asyncio.sleep(20)  # it is answered long before

        reply = await door.send(stuck(), key=key)
        assert reply.statuses == ["ok"] * 11
        assert (reply.summary["done"], reply.summary["problem"]) == (False, "body-too-slow")
        assert (await door.progress(key))[1]["lines_done"] == 11


async def test_a_body_may_take_longer_than_that_of_any_other_request(live: Settings) -> None:
    """Also than the connection itself gives a body, which is 5 s more."""
    hasty = {"request_body_timeout_s": 0.2, "request_timeout_s": 0.4}
    async with serving(live.model_copy(update=hasty)) as door:

        async def slowly() -> AsyncIterator[bytes]:
            for line in imported(past(), 6):
                yield line + b"\n"
                await asyncio.sleep(1)

        reply = await door.send(slowly())
        assert reply.statuses == ["ok"] * 7
        assert reply.summary["done"]


async def test_of_two_requests_under_one_key_one_is_told_to_come_again_and_nothing_is_lost(
    live: Settings, door: Door
) -> None:
    one, key, go_on = past(), new_id(), asyncio.Event()
    lines = list(imported(one, 20))

    async def halting() -> AsyncIterator[bytes]:
        yield body_of(lines[:10])
        await go_on.wait()
        yield body_of(lines[10:])

    halted = asyncio.create_task(door.send(halting(), key=key))
    await asyncio.sleep(1)
    quick = await door.send(body_of(lines), key=key)
    go_on.set()
    slow = await halted
    assert quick.summary["done"]
    assert (slow.summary["done"], slow.summary["problem"]) == (False, "backfill-overtaken")
    assert (await door.send(body_of(lines), key=key)).statuses == ["duplicate"] * 21
    assert len({event.envelope.id for event in await on_kafka(live, one)}) == 21


async def test_only_who_may_import_is_read(door: Door) -> None:
    for principal in (
        Principal(subject="viewer", account_id="a", profile_id="p"),
        Principal(subject="analyst", roles=("analyst",)),
    ):
        token = door.tokens.mint_access(principal)
        assert (await door.send(body_of(imported(past(), 1)), token=token)).problem == (403, "scope-missing")
    assert (await door.send(b"", token="nonsense")).problem == (401, "unauthenticated")
    operator = Principal(subject="operator", roles=("operator",))
    assert (await door.send(b"", token=door.tokens.mint_access(operator))).status == 200


class TestPlayersReportingLate:
    """What was played from a download, reported with its own token when the device is online again."""

    @staticmethod
    def token(door: Door, of: SessionSnapshot) -> str:
        return door.tokens.mint_playback(Grant(session=of, offline=True), utc_now() + timedelta(hours=1))

    async def test_reports_are_of_the_session_of_the_token(self, live: Settings, door: Door) -> None:
        one = past()
        lines = [msgspec.json.encode(builders.report(seq=seq, at=LAST_YEAR)) for seq in range(5)]
        path = f"/v1/playback/sessions/{one.session_id}/backfill"
        reply = await door.send(body_of([*lines, b"{}"]), path=path, token=self.token(door, one))
        assert reply.statuses == ["ok"] * 5 + ["rejected"]
        assert [event.envelope.id for event in await on_kafka(live, one)] == [f"{one.session_id}:{n}" for n in range(5)]

    async def test_a_players_clock_is_corrected_when_it_says_what_it_shows(self, live: Settings, door: Door) -> None:
        one = past()
        line = msgspec.json.encode(builders.report(seq=0, at=LAST_YEAR))
        path = f"/v1/playback/sessions/{one.session_id}/backfill"
        sent_at = {"Playhead-Sent-At": (utc_now() - timedelta(days=2)).isoformat()}
        await door.send(line, path=path, token=self.token(door, one), **sent_at)
        [event] = await on_kafka(live, one)
        assert abs(event.envelope.time - (LAST_YEAR + timedelta(days=2))) < timedelta(seconds=10)

    async def test_a_token_is_for_its_own_session(self, door: Door) -> None:
        path = f"/v1/playback/sessions/{past().session_id}/backfill"
        assert (await door.send(b"", path=path, token=self.token(door, past()))).status in (403, 404)
        assert (await door.send(b"", path=path, token="nonsense")).problem == (401, "playback-token-invalid")
