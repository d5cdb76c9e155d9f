"""What ingest is compared with: Starlette, msgspec and aiokafka around the same produce, and nothing else. No tokens,
no leases, no limits, no metrics; gzip by the standard library. `python -m tests.benchmarks.bare_ingest`.
"""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from commands.playback.reports import ReportBody
from events.envelope import CONTENT_TYPE, DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, encode
from events.playback import EVENT_OF, AnyReport, SessionSnapshot
from events.registry import dataschema_of, type_of
from events.topics import PLAYBACK
from infra.clock import utc_now
from infra.kafka import new_producer
from infra.settings import settings
from tests.benchmarks.players import number_of, session

HEADERS = [("content-type", CONTENT_TYPE.encode())]
CORRELATION_ID = "019aa3c9-2f0b-7d51-8a3e-55f0a1b2c3d4"
_body = msgspec.json.Decoder(ReportBody)
_names = {report: (event, type_of(event), dataschema_of(type_of(event))) for report, event in EVENT_OF.items()}


async def report(request: Request) -> Response:
    """Decode, encode, produce, await, reply."""
    sent_body = await request.body()
    body = _body.decode(gzip.decompress(sent_body) if "content-encoding" in request.headers else sent_body)
    of = session(number_of(request.path_params["session_id"]))
    producer: AIOKafkaProducer = request.app.state.producer
    key = of.profile_id.encode()
    sent = [await producer.send(PLAYBACK.name, _event(of, each), key, headers=HEADERS) for each in body.events]
    for acknowledged in sent:
        await acknowledged
    return Response(b'{"accepted":%d}' % len(sent), media_type="application/json")


def _event(of: SessionSnapshot, report: AnyReport) -> bytes:
    event_class, type_name, dataschema = _names[type(report)]
    return encode(
        Envelope(
            specversion=SPEC_VERSION,
            id=f"{of.session_id}:{report.seq}",
            source="/playback",
            type=type_name,
            subject=of.session_id,
            time=report.at,
            recordedtime=utc_now(),
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=dataschema,
            partitionkey=of.profile_id,
            correlationid=CORRELATION_ID,
            principal=of.profile_id,
            data=event_class(session=of, report=report),
        )
    )


async def ready(_: Request) -> Response:
    """It starts serving when its producer has connected."""
    return Response()


@asynccontextmanager
async def _producing(app: Starlette) -> AsyncIterator[None]:
    app.state.producer = new_producer(settings())
    await app.state.producer.start()
    yield
    await app.state.producer.stop()


if __name__ == "__main__":
    app = Starlette(
        routes=[
            Route("/v1/playback/sessions/{session_id}/events", report, methods=["POST"]),
            Route("/ready", ready),
        ],
        lifespan=_producing,
    )
    uvicorn.run(
        app, port=settings().commands_port, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
