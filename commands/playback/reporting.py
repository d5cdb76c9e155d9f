"""The ingest path: POST .../events and .../stop. Plain Starlette endpoints, which short_way.py calls without
FastAPI in between, since every microsecond here is paid per report.

The playback token authenticates and enriches a report without a look-up; the lease is renewed in a pipeline that
reports share while Kafka acknowledges.
"""

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from commands.dependencies import Resources, context_of, resources
from commands.playback.bearing import borne
from commands.playback.reports import Result, Taken, read, read_stop, take
from events.envelope import Context
from events.playback import AnyReport, SessionSnapshot
from events.topics import PLAYBACK
from infra.http.declared import Bearing, Declared
from infra.positions import HEADER as POSITION_HEADER
from infra.positions import Position

_encoder = msgspec.json.Encoder()


class ReportReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A result for each event, in order. `lease_expires_at_ms`: epoch; absent when the lease could not be renewed, 0
    when the session has ended (its late events are kept in history and never revive it)."""

    results: list[Result]
    lease_expires_at_ms: int | None = None


async def report(request: Request) -> Response:
    """Take a report: every event is acknowledged by Kafka before the reply says so."""
    opened = resources(request)
    grant, body, is_beacon = await borne(request, opened)
    session = grant.session
    context = context_of(request, session.profile_id)
    renewed = opened.leases.renew(session.session_id, session.profile_id)
    taken, position = await _record(opened, session, context, read(body, opened.limits))
    return _reply(ReportReply(taken.results, await renewed), position, is_beacon=is_beacon)


async def stop(request: Request) -> Response:
    """StopPlayback: its body is the session's last event; the lease ends."""
    opened = resources(request)
    grant, body, is_beacon = await borne(request, opened)
    session = grant.session
    stopped = read_stop(body)
    taken, position = await _record(opened, session, context_of(request, session.profile_id), stopped)
    if taken.bodies:
        await opened.leases.end(session.session_id)
    return _reply(ReportReply(taken.results, 0), position, is_beacon=is_beacon)


async def _record(
    opened: Resources, session: SessionSnapshot, context: Context, sent: tuple[datetime, list[AnyReport | Result]]
) -> tuple[Taken, Position | None]:
    taken = take(*sent, session, context, received_at=opened.clock(), limits=opened.limits)
    if not taken.bodies:
        return taken, None
    return taken, await opened.publisher.publish(PLAYBACK.name, session.profile_id, taken.bodies)


def _reply(reply: ReportReply, position: Position | None, *, is_beacon: bool) -> Response:
    headers = {POSITION_HEADER: str(position)} if position else None
    if is_beacon:  # nobody reads the results
        return Response(status_code=204, headers=headers)
    return Response(_encoder.encode(reply), media_type="application/json", headers=headers)


ENDPOINTS = {"events": report, "stop": stop}
ACCESS = Bearing("the playback token of the session in the path, in Authorization; a beacon's in its query or body")
routes = [
    Declared(f"/v1/playback/sessions/{{session_id}}/{name}", endpoint, methods=["POST"], access=ACCESS)
    for name, endpoint in ENDPOINTS.items()
]
