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
from commands.playback import beacons
from commands.playback.refusals import PlaybackTokenInvalid, SessionNotYours, SessionTerminated, SessionUnknown
from commands.playback.reports import Result, Taken, read, read_stop, take
from events.envelope import Context
from events.playback import AnyReport, SessionSnapshot
from events.topics import PLAYBACK
from events.types import SessionId
from infra.access.tokens import BadToken
from infra.http.declared import Bearing, Declared
from infra.http.rate_limiting import count_caller
from infra.http.request_bounds import inflated_body
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
    session, body, is_beacon = await _opened(request, opened)
    context = context_of(request, session.profile_id)
    renewed = opened.leases.renew(session.session_id, session.profile_id)
    taken, position = await _record(opened, session, context, read(body, opened.limits))
    return _reply(ReportReply(taken.results, await renewed), position, is_beacon=is_beacon)


async def stop(request: Request) -> Response:
    """StopPlayback: its body is the session's last event; the lease ends."""
    opened = resources(request)
    session, body, is_beacon = await _opened(request, opened)
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


async def _opened(request: Request, opened: Resources) -> tuple[SessionSnapshot, bytes, bool]:
    """The session that a request reports for, what it reports, and whether it is a beacon."""
    given = header_of(request, b"authorization")
    if given is None and (kind := beacons.kind_of(header_of(request, b"content-type"))):
        return *await _opened_beacon(request, opened, kind), True
    if given is None or not given.startswith(BEARER):
        raise _token_invalid("send the playback token that StartPlayback replied: Authorization: Bearer <token>")
    session = await _session(request, opened, given[len(BEARER) :])
    return session, await inflated_body(request), False


async def _opened_beacon(request: Request, opened: Resources, kind: str) -> tuple[SessionSnapshot, bytes]:
    token = beacons.token_in_query(request.scope["query_string"])
    if token is not None:
        session = await _session(request, opened, token)
        return session, beacons.unpacked(kind, await inflated_body(request))[0]
    report, token = beacons.unpacked(kind, await inflated_body(request))
    if token is None:
        raise _token_invalid("send the playback token that StartPlayback replied, of a beacon as `token`")
    return await _session(request, opened, token), report


async def _session(request: Request, opened: Resources, token: str) -> SessionSnapshot:
    """The session that a request reports for, from its playback token."""
    try:
        session = opened.tokens.verify_playback(token, SessionSnapshot)
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
