"""A commands API on a socket that takes CMCD from pages of another origin, and sessions whose players send it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI

from commands.app import create_app
from events.envelope import Recorded
from events.registry import REGISTRY
from events.topics import PLAYBACK
from events.types import SessionId
from infra.access.tokens import Tokens
from infra.clock import utc_now
from infra.http.server import config_of
from infra.positions import parse_positions
from infra.settings import Settings
from tests import builders

PAGE: Final = "https://www.example.com"
CMCD: Final = {"Content-Type": "application/cmcd", "Origin": PAGE}


@asynccontextmanager
async def collector(
    settings: Settings, *, awaits_kafka: bool = True
) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """A commands API that pages of PAGE may call, and a client of it."""
    app = create_app(settings.model_copy(update={"cors_origins": (PAGE,)}))
    server = uvicorn.Server(config_of(app, settings, port=0))
    task = asyncio.create_task(server._serve())
    async with asyncio.timeout(20):
        while not server.started or (awaits_kafka and not app.state.resources.publisher.ready):
            await asyncio.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield app, client
    finally:
        server.should_exit = True
        await task


class Viewing:
    """A session that was granted, as its player knows it: by the URL of its collector."""

    def __init__(self, settings: Settings, *, player: str | None = "hls.js", **session: Any) -> None:
        started = {"started_at": utc_now() - timedelta(minutes=1), "device": builders.device(player=player)}
        self.session = builders.session(SessionId(str(uuid4())), **(started | session))
        self.token = Tokens(settings).mint_playback(builders.grant(self.session), utc_now() + timedelta(hours=1))

    @property
    def bare_url(self) -> str:
        return f"/v1/playback/sessions/{self.session.session_id}/cmcd"

    def url(self, target: str | None = None) -> str:
        """What a player is configured with."""
        return f"{self.bare_url}?token={self.token}" + (f"&target={target}" if target else "")


@dataclass
class Kafka:
    """The topic, from where it was when a test began."""

    consumer: AIOKafkaConsumer

    async def events(self, of: Viewing, replies: list[httpx.Response]) -> list[Recorded[Any]]:
        """What is recorded of a session, in Kafka's order, up to what the replies say."""
        places = [place for reply in replies for place in parse_positions(reply.headers["Playhead-Position"])]
        [partition] = {place.partition for place in places}
        at, last = TopicPartition(PLAYBACK.name, partition), max(place.position for place in places)
        self.consumer.assign([at])
        self.consumer.seek(at, max(0, min(place.position for place in places) - 600))
        found: list[Recorded[Any]] = []
        position = -1
        while position < last:
            for record in (await self.consumer.getmany(timeout_ms=500)).get(at, []):
                position = record.offset
                if of.session.session_id.encode() in record.value:  # others put there what nobody can read
                    found.append(REGISTRY.decode(record.value))
        return found


@asynccontextmanager
async def kafka_of(settings: Settings) -> AsyncIterator[Kafka]:
    """The topic of playback."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield Kafka(consumer)
    finally:
        await consumer.stop()
