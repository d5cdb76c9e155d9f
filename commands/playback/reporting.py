"""The ingest path: POST .../events and .../stop. Plain Starlette endpoints, which short_way.py calls without
FastAPI in between, since every microsecond here is paid per report.

The playback token authenticates and enriches a report without a look-up; once Kafka has acknowledged its events, the
lease is renewed in a pipeline that all reports of that moment share. What comes for a session that has ended is
recorded too.
"""

from datetime import datetime
from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from commands.dependencies import Resources, context_of, resources
from commands.playback.bearing import Borne, borne
from commands.playback.grants import Grant
from commands.playback.leases import Held, Renewal, progress_of
from commands.playback.reports import Read, Result, Taken, read, read_stop, take
from commands.playback.terminating import tell_of, terminated
from events.envelope import Context
from events.playback import Stopped
from events.topics import PLAYBACK
from infra.http.declared import Bearing, Declared
from infra.positions import HEADER as POSITION_HEADER
from infra.positions import Position
from infra.publisher import PartlyPublished

Sent: TypeAlias = tuple[datetime, list[Read]]
_encoder = msgspec.json.Encoder()


class ReportReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A result for each event, in order. `lease_expires_at_ms`: epoch; absent when the session has none (Redis is away,
    it is paused for long, or played offline), 0 when it has ended (late events are kept in history and never revive
    it)."""

    results: list[Result]
    lease_expires_at_ms: int | None = None


async def report(request: Request) -> Response:
    """Take a report: every event is acknowledged by Kafka before the reply says so."""
    opened = resources(request)
    read_body = await borne(request, opened)
    return await _answer(request, opened, read_body, read(read_body.body, opened.limits))


async def stop(request: Request) -> Response:
    """StopPlayback: its body is the session's last event; the lease ends."""
    opened = resources(request)
    read_body = await borne(request, opened)
    return await _answer(request, opened, read_body, read_stop(read_body.body))


async def _answer(request: Request, opened: Resources, came: Borne, sent: Sent) -> Response:
    grant = came.grant
    context = context_of(request, grant.session.profile_id)
    taken, position, partly = await _record(opened, came, context, sent)
    renewal = await _renew(opened, grant, taken)
    if partly is not None and renewal.held in (Held.TERMINATED, Held.GONE):
        raise partly  # a 410 ends the player's reports, so first have all of this one
    headers = {POSITION_HEADER: str(position)} if position else None
    if partly is not None and headers is not None:
        headers["Retry-After"] = str(opened.settings.retry_after_s)
    results = taken.results_after(renewal.before)
    await tell_of(opened, grant.session, renewal, context)
    if renewal.terminated is not None:
        account_id = grant.session.account_id
        raise await terminated(opened, account_id, renewal.terminated, results=results, headers=headers)
    if renewal.held is Held.GONE:  # the player starts a new session, and nobody is asked
        return Response(status_code=410, headers=headers)
    if came.is_beacon:  # nobody reads the results
        return Response(status_code=204, headers=headers)
    reply = ReportReply(results, renewal.lease_until_ms)
    return Response(_encoder.encode(reply), media_type="application/json", headers=headers)


async def _renew(opened: Resources, grant: Grant, taken: Taken) -> Renewal:
    progress = progress_of(taken.reports)
    if any(isinstance(report, Stopped) for report in taken.reports):
        return await opened.leases.end(grant, progress)
    return await opened.leases.renew(grant, progress)


async def _record(
    opened: Resources, came: Borne, context: Context, sent: Sent
) -> tuple[Taken, Position | None, PartlyPublished | None]:
    session = came.grant.session
    taken = take(*sent, session, context, received_at=opened.clock(), limits=opened.limits)
    if not taken.bodies:
        return taken, None, None
    try:
        return taken, await opened.publisher.publish(PLAYBACK.name, session.profile_id, taken.bodies), None
    except PartlyPublished as partly:
        if came.is_beacon:
            raise
        taken.keep(partly.acknowledged)
        return taken, partly.position, partly


ENDPOINTS = {"events": report, "stop": stop}
ACCESS = Bearing("the playback token of the session in the path, in Authorization; a beacon's in its query or body")
routes = [
    Declared(f"/v1/playback/sessions/{{session_id}}/{name}", endpoint, methods=["POST"], access=ACCESS)
    for name, endpoint in ENDPOINTS.items()
]
