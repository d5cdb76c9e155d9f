"""The ingest path: POST .../events and .../stop. Plain Starlette endpoints, which short_way.py calls without
FastAPI in between, since every microsecond here is paid per report.

The playback token authenticates and enriches a report without a look-up; the lease is renewed in a pipeline that
reports share while Kafka acknowledges.
"""

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from commands.dependencies import Resources, context_of, header_of, resources
from commands.playback.refusals import PlaybackTokenInvalid, SessionNotYours, SessionTerminated, SessionUnknown
from commands.playback.reports import Result, Taken, read, read_stop, take
from events.envelope import Context
from events.playback import AnyReport, SessionSnapshot
from events.topics import PLAYBACK
from events.types import SessionId
from infra.access.tokens import BadToken
from infra.http.declared import Bearing, Declared
from infra.http.rate_limiting import count_caller
from infra.positions import HEADER as POSITION_HEADER
from infra.positions import Position

BEARER = "Bearer "
_encoder = msgspec.json.Encoder()


class ReportReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A result for each event, in order. `lease_expires_at_ms`: epoch; absent when the lease could not be renewed, 0
    when the session has ended (its late events are kept in history and never revive it)."""

    results: list[Result]
    lease_expires_at_ms: int | None = None


async def report(request: Request) -> Response:
    """Take a report: every event is acknowledged by Kafka before the reply says so."""
    opened = resources(request)
    session = await _session(request, opened)
    body = await request.body()
    context = context_of(request, session.profile_id)
    renewed = opened.leases.renew(session.session_id, session.profile_id)
    taken, position = await _record(opened, session, context, read(body, opened.limits))
    return _reply(ReportReply(taken.results, await renewed), position)


async def stop(request: Request) -> Response:
    """StopPlayback: its body is the session's last event; the lease ends."""
    opened = resources(request)
    session = await _session(request, opened)
    stopped = read_stop(await request.body())
    taken, position = await _record(opened, session, context_of(request, session.profile_id), stopped)
    if taken.bodies:
        await opened.leases.end(session.session_id)
    return _reply(ReportReply(taken.results, 0), position)


async def _record(
    opened: Resources, session: SessionSnapshot, context: Context, sent: tuple[datetime, list[AnyReport | Result]]
) -> tuple[Taken, Position | None]:
    taken = take(*sent, session, context, received_at=opened.clock(), limits=opened.limits)
    if not taken.bodies:
        return taken, None
    return taken, await opened.publisher.publish(PLAYBACK.name, session.profile_id, taken.bodies)


async def _session(request: Request, opened: Resources) -> SessionSnapshot:
    """The session that a request reports for, from its playback token."""
    given = header_of(request, b"authorization") or ""
    if not given.startswith(BEARER):
        raise _token_invalid("send the playback token that StartPlayback replied: Authorization: Bearer <token>")
    try:
        session = opened.tokens.verify_playback(given[len(BEARER) :], SessionSnapshot)
    except (BadToken, msgspec.ValidationError) as error:
        raise _token_invalid(f"{error}; start playback again") from error
    count_caller(request.scope, session.session_id)
    if session.session_id != request.path_params["session_id"]:
        await _refuse_other(opened, SessionId(request.path_params["session_id"]), session)
    if opened.revocations.has_device(session.device.device_id):
        raise SessionTerminated(
            "the device was removed from its account: stop playing, and sign in again",
            members={"reason": "device_removed"},
        )
    return session


async def _refuse_other(opened: Resources, asked: SessionId, session: SessionSnapshot) -> None:
    if await opened.leases.known(asked):
        raise SessionNotYours(f"this playback token is for session {session.session_id}")
    raise SessionUnknown(f"no session {asked[:64]} was started; start playback first")


def _token_invalid(detail: str) -> PlaybackTokenInvalid:
    return PlaybackTokenInvalid(detail, headers={"WWW-Authenticate": 'Bearer realm="playhead"'})


def _reply(reply: ReportReply, position: Position | None) -> Response:
    headers = {POSITION_HEADER: str(position)} if position else None
    return Response(_encoder.encode(reply), media_type="application/json", headers=headers)


ENDPOINTS = {"events": report, "stop": stop}
ACCESS = Bearing("the playback token of the session in the path")
routes = [
    Declared(f"/v1/playback/sessions/{{session_id}}/{name}", endpoint, methods=["POST"], access=ACCESS)
    for name, endpoint in ENDPOINTS.items()
]
