"""What the CMCD collector is compared with: Starlette, http-sf, msgspec and aiokafka around the same produce, and
nothing else. No tokens, no leases, no limits, no metrics; keys as they come, nothing checked or mended.
`python -m tests.benchmarks.bare_cmcd`.
"""

from typing import Any

import http_sf
import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from events.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, encode
from events.playback import PlaybackCmcdReported, SessionSnapshot
from events.registry import dataschema_of, type_of
from events.topics import PLAYBACK
from infra.clock import utc_now
from infra.settings import settings
from tests.benchmarks.bare_ingest import CORRELATION_ID, HEADERS, _producing, ready
from tests.benchmarks.players import number_of, session

TYPE = type_of(PlaybackCmcdReported)
DATASCHEMA = dataschema_of(TYPE)


async def collect(request: Request) -> Response:
    """Parse, encode, produce, await, reply."""
    of = session(number_of(request.path_params["session_id"]))
    producer: AIOKafkaProducer = request.app.state.producer
    key = of.profile_id.encode()
    lines = (await request.body()).splitlines()
    sent = [await producer.send(PLAYBACK.name, _event(of, line), key, headers=HEADERS) for line in lines]
    for acknowledged in sent:
        await acknowledged
    return Response(status_code=204)


def _event(of: SessionSnapshot, line: bytes) -> bytes:
    parsed: Any = http_sf.parse(line, tltype="dictionary")
    said = _said(parsed)
    now = utc_now()
    data: Any = {"session": of, "target": "default", "record": said}
    return encode(
        Envelope(
            specversion=SPEC_VERSION,
            id=f"{of.session_id}:{said['sid']}:{said['sn']}:{said['ts']}:{said['e']}",
            source="/playback",
            type=TYPE,
            subject=of.session_id,
            time=now,
            recordedtime=now,
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=DATASCHEMA,
            partitionkey=of.profile_id,
            correlationid=CORRELATION_ID,
            principal=of.profile_id,
            data=data,
        )
    )


def _said(parsed: dict[str, Any]) -> dict[str, object]:
    said: dict[str, object] = {}
    for name, member in parsed.items():
        value = member[0] if isinstance(member, tuple) else member
        if isinstance(value, list):
            said[name] = [{"value": item[0] if isinstance(item, tuple) else item} for item in value]
        else:
            said[name] = str(value) if isinstance(value, http_sf.Token) else value
    return said


if __name__ == "__main__":
    app = Starlette(
        routes=[
            Route("/v1/playback/sessions/{session_id}/cmcd", collect, methods=["POST"]),
            Route("/ready", ready),
        ],
        lifespan=_producing,
    )
    uvicorn.run(
        app, port=settings().commands_port, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
