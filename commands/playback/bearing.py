"""What a request is granted by the playback token that it carries: in Authorization, in its query or in a beacon's
body.
"""

from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request

from commands.dependencies import Resources, header_of
from commands.playback import beacons
from commands.playback.grants import Grant
from commands.playback.refusals import PlaybackTokenInvalid, SessionNotYours, SessionTerminated, SessionUnknown
from events.types import SessionId
from infra.access.tokens import BadToken
from infra.http.rate_limiting import count_caller
from infra.http.request_bounds import inflated_body

BEARER: Final = "Bearer "


class Borne(NamedTuple):
    """A request read: the grant that it came with, its body, and whether it is a beacon, whose reply nobody reads."""

    grant: Grant
    body: bytes
    is_beacon: bool


async def borne(request: Request, opened: Resources) -> Borne:
    """Read a request about the session in its path. Raises PlaybackTokenInvalid, SessionNotYours, SessionUnknown,
    SessionTerminated, RateLimited, and what reading a body raises.
    """
    given = header_of(request, b"authorization")
    if given is None and (kind := beacons.kind_of(header_of(request, b"content-type"))):
        return await _borne_by_beacon(request, opened, kind)
    if given is None or not given.startswith(BEARER):
        raise _token_invalid("send the playback token that StartPlayback replied: Authorization: Bearer <token>")
    grant = await granted_in_path(request, opened, given[len(BEARER) :])
    return Borne(grant, await inflated_body(request), False)


def token_of(request: Request) -> str | None:
    """The playback token in a request's head: in Authorization, else in its query. Raises ReportMalformed."""
    given = header_of(request, b"authorization")
    if given is not None:
        return given[len(BEARER) :] if given.startswith(BEARER) else None
    return beacons.token_in_query(request.scope["query_string"])


def granted(request: Request, opened: Resources, token: str | None) -> Grant:
    """What a playback token grants, for whatever session it is; the request is counted as that session's. Raises
    PlaybackTokenInvalid, SessionTerminated, RateLimited.
    """
    if token is None:
        raise _token_invalid("send the playback token that StartPlayback replied: Authorization: Bearer <token>")
    try:
        grant = opened.tokens.verify_playback(token, Grant)
    except (BadToken, msgspec.ValidationError) as error:
        raise _token_invalid(f"{error}; start playback again") from error
    count_caller(request.scope, grant.session.session_id)
    if opened.revocations.has_device(grant.session.device.device_id):
        raise SessionTerminated(
            "the device was removed from its account: stop playing, and sign in again",
            members={"reason": "device_removed"},
        )
    return grant


async def _borne_by_beacon(request: Request, opened: Resources, kind: str) -> Borne:
    token = beacons.token_in_query(request.scope["query_string"])
    if token is not None:
        grant = await granted_in_path(request, opened, token)
        return Borne(grant, beacons.unpacked(kind, await inflated_body(request))[0], True)
    report, token = beacons.unpacked(kind, await inflated_body(request))
    if token is None:
        raise _token_invalid("send the playback token that StartPlayback replied, of a beacon as `token`")
    return Borne(await granted_in_path(request, opened, token), report, True)


async def granted_in_path(request: Request, opened: Resources, token: str | None) -> Grant:
    """What a playback token grants of the session in the path. Raises what granted() raises, SessionNotYours and
    SessionUnknown.
    """
    grant = granted(request, opened, token)
    asked = SessionId(request.path_params["session_id"])
    if asked != grant.session.session_id:
        await _refuse_other(opened, asked, grant)
    return grant


async def _refuse_other(opened: Resources, asked: SessionId, grant: Grant) -> None:
    if await opened.leases.known(grant.session.account_id, asked):
        raise SessionNotYours(f"this playback token is for session {grant.session.session_id}")
    raise SessionUnknown(f"no session {asked[:64]} was started; start playback first")


def _token_invalid(detail: str) -> PlaybackTokenInvalid:
    return PlaybackTokenInvalid(detail, headers={"WWW-Authenticate": 'Bearer realm="playhead"'})
