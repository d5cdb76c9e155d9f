"""Reports as player engineers send them: every type and dimension, results event by event, clocks that are wrong,
resends and reordering. What is on Kafka afterwards is what counts.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI

from commands.app import create_app
from events.envelope import Recorded
from events.playback import Reported
from events.registry import REGISTRY
from events.topics import PLAYBACK
from events.types import ProfileId, SessionId
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.positions import parse_positions
from infra.settings import Settings
from tests import builders

pytestmark = pytest.mark.integration

DIMENSIONS: Final[dict[str, Any]] = {
    "rate": 1.5,
    "bitrate_kbps": 4_500,
    "rendition": "1080p",
    "buffer_ms": 24_000,
    "dropped_frames": 3,
    "cdn": "example",
    "cdn_edge": "icn-2",
    "drm": "widevine-l1",
}
OF_TYPES: Final[dict[str, dict[str, Any]]] = {
    "started": {"startup_ms": 800},
    "heartbeat": {},
    "paused": {},
    "resumed": {},
    "seeked": {"from_ms": 12_000},
    "buffering_started": {},
    "buffering_ended": {"stalled_ms": 1_200},
    "bitrate_changed": {},
    "quality_changed": {},
    "error": {"code": "3016", "fatal": True, "message": "decode"},
    "ad_break_started": {},
    "ad_break_ended": {},
    "completed": {},
    "stopped": {},
}


@pytest.fixture(scope="module")
async def client(live: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app: FastAPI = create_app(live)
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(20):
            while not app.state.resources.publisher.ready:
                await asyncio.sleep(0.05)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://commands") as client:
            yield client


class Player:
    """A player of a session of its own, whose clock is `off` by so much."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings, off: timedelta = timedelta()) -> None:
        self.session = builders.session(
            SessionId(str(uuid4())), profile_id=ProfileId(str(uuid4())), started_at=utc_now() - timedelta(minutes=1)
        )
        self._token = Tokens(settings).mint_playback(builders.grant(self.session), utc_now() + timedelta(hours=1))
        self._client = client
        self._settings = settings
        self._off = off

    @property
    def now(self) -> datetime:
        """What its clock shows."""
        return utc_now() + self._off

    def event(self, seq: int, said: str = "heartbeat", **values: Any) -> dict[str, Any]:
        return {"type": said, "seq": seq, "at": self.now.isoformat(), "position_ms": 1_000 * seq, **values}

    async def report(self, *events: dict[str, Any], **body: Any) -> httpx.Response:
        return await self._client.post(
            f"/v1/playback/sessions/{self.session.session_id}/events",
            json={"sent_at": self.now.isoformat(), "events": events, **body},
            headers={"Authorization": f"Bearer {self._token}"},
        )

    async def results(self, *events: dict[str, Any]) -> list[tuple[str, str | None]]:
        """The status of each event, and its problem."""
        reply = (await self.report(*events)).raise_for_status()
        return [(result["status"], result.get("problem")) for result in reply.json()["results"]]

    async def recorded(self) -> list[Recorded[Any]]:
        """Its events on Kafka, in order."""
        marker = (await self.report(self.event(999))).raise_for_status()
        [position] = parse_positions(marker.headers["Playhead-Position"])
        place = TopicPartition(PLAYBACK.name, position.partition)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka_bootstrap, enable_auto_commit=False)
        await consumer.start()
        found: list[Recorded[Any]] = []
        try:
            consumer.assign([place])
            consumer.seek(place, max(0, position.position - 500))
            last = -1
            while last < position.position:
                for record in (await consumer.getmany(timeout_ms=500)).get(place, []):
                    last = record.offset
                    if record.key == self.session.profile_id.encode() and last < position.position:
                        found.append(REGISTRY.decode(record.value))
        finally:
            await consumer.stop()
        return found

    async def recorded_reports(self) -> list[Reported[Any]]:
        return [each.data for each in await self.recorded()]


@pytest.fixture
def player(client: httpx.AsyncClient, live: Settings) -> Player:
    return Player(client, live)


async def test_every_type_with_every_dimension_is_on_kafka_as_it_was_said(player: Player) -> None:
    sent = [player.event(seq, said, **{**DIMENSIONS, **values}) for seq, (said, values) in enumerate(OF_TYPES.items())]
    assert await player.results(*sent) == [("ok", None)] * len(OF_TYPES)
    recorded = await player.recorded_reports()
    kept = [msgspec.to_builtins(each.report) for each in recorded]
    assert [each | {"at": None} for each in kept] == [each | {"at": None} for each in sent]
    assert [datetime.fromisoformat(each["at"]) for each in kept] == [datetime.fromisoformat(e["at"]) for e in sent]
    assert {each.session for each in recorded} == {player.session}


async def test_each_event_of_a_report_has_a_result_of_its_own(player: Player) -> None:
    first = player.event(0)
    assert await player.results(
        first,
        first,
        player.event(0, "paused"),
        player.event(1, bitrate=4_500),
        player.event(2, "levitated"),
        player.event(3, position_ms="far"),
        player.event(4, position_ms=10**9),
        player.event(5, at="2031-01-01T00:00:00Z"),
        player.event(6, at="1970-01-01T00:00:00Z"),
        player.event(7, "quality_changed", rendition="x" * 33_000),
    ) == [
        ("ok", None),
        ("duplicate", None),
        ("rejected", "seq-reused"),
        ("warning", "field-unknown"),
        ("rejected", "event-type-unknown"),
        ("rejected", "event-invalid"),
        ("rejected", "position-beyond-duration"),
        ("warning", "time-in-future"),
        ("warning", "time-before-session"),
        ("rejected", "event-too-large"),
    ]
    assert [each.report.seq for each in await player.recorded_reports()] == [0, 1, 5, 6]


async def test_a_resend_with_a_fresh_sent_at_is_the_same_event(client: httpx.AsyncClient, live: Settings) -> None:
    player = Player(client, live, off=timedelta(hours=7))
    sent = player.event(4)
    assert await player.results(sent) == [("ok", None)]
    await asyncio.sleep(0.3)
    assert await player.results(sent) == [("duplicate", None)]
    first, again = await player.recorded()
    assert first.envelope.id == again.envelope.id == f"{player.session.session_id}:4"
    assert abs(first.envelope.time - again.envelope.time) < timedelta(seconds=0.3)


async def test_one_part_of_a_report_that_was_recorded_before_does_not_hide_the_other(player: Player) -> None:
    first, second, third = (player.event(seq) for seq in range(3))
    assert await player.results(first, second) == [("ok", None)] * 2
    assert await player.results(second, third) == [("duplicate", None), ("ok", None)]


@pytest.mark.parametrize("off", [timedelta(hours=24), timedelta(hours=-24), timedelta(days=-20_000)])
async def test_a_wrong_clock_is_corrected_and_what_it_showed_is_kept(
    client: httpx.AsyncClient, live: Settings, off: timedelta
) -> None:
    player = Player(client, live, off)
    happened = player.now - timedelta(seconds=30)
    assert await player.results(player.event(0, at=happened.isoformat())) == [("ok", None)]
    [recorded] = await player.recorded()
    assert abs(recorded.envelope.time - (happened - off)) < timedelta(seconds=5)
    assert recorded.data.report.at == happened
    assert recorded.data.time_adjusted is False


@pytest.mark.parametrize("body", [{"sent_at": None}, {"sent_at": "soon"}, {"sent_at": "2026-11-21T20:00:00"}])
async def test_a_report_that_does_not_say_when_it_was_sent_is_refused(player: Player, body: dict[str, Any]) -> None:
    reply = await player.report(player.event(0), **body)
    assert (reply.status_code, reply.json()["type"].rpartition("/")[2]) == (422, "report-invalid")
    assert "sent_at" in reply.json()["detail"]


async def test_reports_that_overtake_each_other_are_all_taken(player: Player) -> None:
    late = [player.event(seq) for seq in (2, 0)]
    early = [player.event(seq) for seq in (5, 3, 4)]
    assert await player.results(*early) == [("ok", None)] * 3
    assert await player.results(*late) == [("ok", None)] * 2
    assert await player.results(player.event(1)) == [("ok", None)]
    assert [each.report.seq for each in await player.recorded_reports()] == [5, 3, 4, 2, 0, 1]


async def test_the_largest_report_is_taken_as_one(player: Player) -> None:
    sent = [player.event(seq, **DIMENSIONS) for seq in range(500)]
    assert await player.results(*sent) == [("ok", None)] * 500
    assert [each.report.seq for each in await player.recorded_reports()] == list(range(500))


async def test_a_player_is_told_what_is_wrong_with_a_field(player: Player) -> None:
    reply = await player.report(player.event(0, rate=0), player.event(1, "error"), player.event(2, Position=3))
    reasons = [result["reason"] for result in reply.json()["results"]]
    assert "`$.rate`" in reasons[0]
    assert "`code`" in reasons[1]
    assert reasons[2].startswith("`Position`: no such field")
    assert "position_ms" in reasons[2]


async def test_the_document_says_all_of_a_report_and_of_its_results(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert schemas["Status"]["enum"] == ["duplicate", "ok", "rejected", "retry", "warning"]
    assert {name for name, schema in schemas.items() if "dropped_frames" in schema.get("properties", {})} >= {
        "Started",
        "Heartbeat",
        "Failed",
        "Stopped",
    }
    said = {schema["properties"]["type"]["enum"][0] for schema in schemas.values() if _is_report(schema)}
    assert said == set(OF_TYPES)
    responses = document["paths"]["/v1/playback/sessions/{session_id}/events"]["post"]["responses"]
    assert set(responses) >= {"200", "204", "400", "401", "403", "404", "408", "410", "413", "415", "422", "429", "503"}
    assert "Retry-After" in responses["200"]["headers"]
    assert "too-much-in-flight" in str(responses["429"])
    assert "overloaded" in str(responses["503"])


def _is_report(schema: dict[str, Any]) -> bool:
    return {"seq", "at", "position_ms", "type"} <= set(schema.get("properties", {}))
