"""What ingest is compared with besides: FastAPI and Pydantic doing the same work in their own way, as their
documentation shows. `python -m tests.benchmarks.fastapi_ingest`.

The playback token is verified by PyJWT, the lease renewed by redis-py, the events produced by aiokafka; times are
corrected, positions checked, each event has its result. No limits, no metrics, no marks of what was recorded before.
"""

import gzip
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import jwt
import redis.asyncio
import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from events.playback import EVENT_OF
from events.registry import dataschema_of, type_of
from events.topics import PLAYBACK
from infra.access.tokens import PLAYBACK_AUDIENCE, Tokens
from infra.clock import utc_now
from infra.ids import new_id
from infra.kafka import new_producer
from infra.settings import settings

HEADERS = [("content-type", b"application/cloudevents+json")]
FUTURE = timedelta(minutes=5)
SLACK_MS = 5_000
RENEW = """
if redis.call('HGET', KEYS[1], 'state') == 'ended' then return 0 end
local time = redis.call('TIME')
local lease_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], 'profile', ARGV[1], 'state', 'started', 'lease_until_ms', lease_until_ms)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return lease_until_ms
"""

NAMES = {
    str(report.__struct_config__.tag): (type_of(event), dataschema_of(type_of(event)))
    for report, event in EVENT_OF.items()
}
"""An event's type and schema, by the type of its report."""

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
PositionMs = Annotated[int, Field(ge=0, le=2**42)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class Report(BaseModel):
    """What every report says."""

    seq: Count
    at: AwareDatetime
    position_ms: PositionMs
    rate: Annotated[float, Field(gt=0, le=16)] | None = None
    bitrate_kbps: Count | None = None
    rendition: Text | None = None
    buffer_ms: Count | None = None
    dropped_frames: Count | None = None
    cdn: Text | None = None
    cdn_edge: Text | None = None
    drm: Text | None = None


class Started(Report):
    """The first frame."""

    type: Literal["started"]
    startup_ms: Count | None = None


class Plain(Report):
    """Those that say nothing else."""

    type: Literal[
        "heartbeat",
        "paused",
        "resumed",
        "buffering_started",
        "bitrate_changed",
        "quality_changed",
        "ad_break_started",
        "ad_break_ended",
        "completed",
        "stopped",
    ]


class Seeked(Report):
    """A jump."""

    type: Literal["seeked"]
    from_ms: PositionMs


class BufferingEnded(Report):
    """The end of a wait."""

    type: Literal["buffering_ended"]
    stalled_ms: Count | None = None


class Failed(Report):
    """An error."""

    type: Literal["error"]
    code: Text
    fatal: bool = False
    message: Text | None = None


AnyReport = Annotated[Started | Plain | Seeked | BufferingEnded | Failed, Field(discriminator="type")]


class ReportBody(BaseModel):
    """A report."""

    sent_at: AwareDatetime
    events: Annotated[list[AnyReport], Field(min_length=1, max_length=500)]


class Title(BaseModel):
    """A title as the token has it."""

    title_id: str
    kind: str
    name: str
    duration_ms: int
    credits_start_ms: int | None = None
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    next_title_id: str | None = None


class Device(BaseModel):
    """A device as the token has it."""

    device_id: str
    type: str
    name: str | None = None
    platform: str | None = None
    os: str | None = None
    model: str | None = None
    player: str | None = None
    player_version: str | None = None


class Session(BaseModel):
    """A session as the token has it."""

    session_id: str
    account_id: str
    profile_id: str
    started_at: datetime
    title: Title
    device: Device


class Reported(BaseModel):
    """The data of an event."""

    session: Session
    report: AnyReport
    time_adjusted: bool = False


class CloudEvent(BaseModel):
    """An event."""

    specversion: str = "1.0"
    id: str
    source: str = "/playback"
    type: str
    subject: str
    time: datetime
    recordedtime: datetime
    datacontenttype: str = "application/json"
    dataschema: str
    partitionkey: str
    correlationid: str
    principal: str
    data: Reported


class Result(BaseModel):
    """How an event ended."""

    status: Literal["ok", "warning", "rejected"]
    seq: int
    problem: str | None = None


class Reply(BaseModel):
    """How a report ended."""

    results: list[Result]
    lease_expires_at_ms: int | None = None


class GzipRequest(Request):
    """FastAPI's documentation, "Custom Request and APIRoute class"."""

    async def body(self) -> bytes:
        """The body, inflated."""
        if not hasattr(self, "_body"):
            body = await super().body()
            self._body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        return self._body


class GzipRoute(APIRoute):
    """The same."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Handle a GzipRequest."""
        handle = super().get_route_handler()

        async def handle_gzip(request: Request) -> Response:
            return await handle(GzipRequest(request.scope, request.receive))

        return handle_gzip


router = APIRouter(route_class=GzipRoute)


async def session_of(request: Request, session_id: str, authorization: Annotated[str, Header()]) -> Session:
    """The session that the playback token is for."""
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "),
            request.app.state.key,
            algorithms=["HS256"],
            audience=PLAYBACK_AUDIENCE,
            options={"require": ["exp"]},
        )
        session = Session.model_validate(claims["grant"]["session"])
    except (jwt.InvalidTokenError, KeyError, ValidationError) as error:
        raise HTTPException(401, "the playback token does not hold") from error
    if session.session_id != session_id:
        raise HTTPException(403, "the playback token is for another session")
    return session


@router.post("/v1/playback/sessions/{session_id}/events", response_model_exclude_none=True)
async def report(body: ReportBody, session: Annotated[Session, Depends(session_of)], request: Request) -> Reply:
    """Take a report: every event is acknowledged by Kafka before the reply says so."""
    producer: AIOKafkaProducer = request.app.state.producer
    received_at = utc_now()
    skew, latest = body.sent_at - received_at, received_at + FUTURE
    correlation_id = new_id()
    results, waiting = [], []
    for each in body.events:
        if each.position_ms > session.title.duration_ms + SLACK_MS:
            results.append(Result(status="rejected", seq=each.seq, problem="position-beyond-duration"))
            continue
        at = min(each.at - skew, latest)
        names = NAMES[each.type]
        event = CloudEvent(
            id=f"{session.session_id}:{each.seq}",
            type=names[0],
            subject=session.session_id,
            time=at,
            recordedtime=received_at,
            dataschema=names[1],
            partitionkey=session.profile_id,
            correlationid=correlation_id,
            principal=session.profile_id,
            data=Reported(session=session, report=each, time_adjusted=at == latest),
        )
        encoded = event.model_dump_json(exclude_none=True).encode()
        waiting.append(await producer.send(PLAYBACK.name, encoded, session.profile_id.encode(), headers=HEADERS))
        results.append(Result(status="warning" if at == latest else "ok", seq=each.seq))
    for acknowledged in waiting:
        await acknowledged
    lease = await request.app.state.renew(
        keys=[f"fastapi_session:{session.session_id}"], args=[session.profile_id, 30_000, 86_400_000]
    )
    return Reply(results=results, lease_expires_at_ms=lease)


@router.get("/ready")
async def ready() -> None:
    """It starts serving when its producer has connected."""


@asynccontextmanager
async def _opened(app: FastAPI) -> AsyncIterator[None]:
    client = redis.asyncio.Redis.from_url(settings().redis_url)
    app.state.renew = client.register_script(RENEW)
    app.state.key = Tokens(settings()).keys.internal_ring.signing().value
    app.state.producer = new_producer(settings())
    await app.state.producer.start()
    yield
    await app.state.producer.stop()
    await client.aclose()


if __name__ == "__main__":
    app = FastAPI(lifespan=_opened)
    app.include_router(router)
    uvicorn.run(
        app, port=settings().commands_port, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
