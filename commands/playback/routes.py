"""StartPlayback and its end from elsewhere over HTTP; reports and stops are in reporting.py."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from commands import errors
from commands.dependencies import Resources, context_of, resources
from commands.playback.bodies import StartBody, StartedReply
from commands.playback.refusals import (
    DeviceNotYours,
    DownloadsNotAllowed,
    LocationUnknown,
    NotEntitled,
    PinRequired,
    ProfileRequired,
    SessionAlreadyStarted,
    SessionUnknown,
    StreamLimitReached,
    TitleNotAvailable,
    TitleNotPlayable,
    TitleUnknown,
)
from commands.playback.start import start_playback
from commands.playback.terminating import terminate_playback
from events.types import SessionId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.positions import HEADER as POSITION_HEADER
from infra.publisher import KafkaUnavailable

router = APIRouter(prefix="/v1/playback", tags=["playback"])


@router.post(
    "/sessions",
    status_code=201,
    responses=errors.refused_by(
        ProfileRequired,
        DeviceNotYours,
        TitleUnknown,
        TitleNotPlayable,
        LocationUnknown,
        TitleNotAvailable,
        PinRequired,
        NotEntitled,
        DownloadsNotAllowed,
        SessionAlreadyStarted,
        StreamLimitReached,
        KafkaUnavailable,
    ),
)
async def start(
    body: StartBody,
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
    caller: Annotated[Principal, Depends(Needs(Scope.PLAYBACK))],
) -> StartedReply:
    """Start playback: a session, and the token that its reports carry."""
    territory = opened.territories.of(request.scope)
    reply, position = await start_playback(
        opened, body, caller, context_of(request, caller.subject), territory=territory
    )
    response.headers["Location"] = f"/v1/playback/sessions/{reply.session_id}"
    response.headers[POSITION_HEADER] = str(position)
    return reply


@router.post(
    "/sessions/{session_id}/terminate",
    status_code=204,
    responses=errors.refused_by(ProfileRequired, SessionUnknown),
)
async def terminate(
    session_id: Annotated[SessionId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")],
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
    caller: Annotated[Principal, Depends(Needs(Scope.PLAYBACK))],
) -> None:
    """End a stream of the account from elsewhere, of any of its profiles; its next report is told so. A profile for
    kids may, as it may end any stream to start its own: who shares an account shares its streams.
    """
    position = await terminate_playback(opened, session_id, caller, context_of(request, caller.subject))
    if position is not None:
        response.headers[POSITION_HEADER] = str(position)
