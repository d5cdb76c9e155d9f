"""StartPlayback over HTTP; reports and stops are in reporting.py."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

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
    TitleNotAvailable,
    TitleNotPlayable,
    TitleUnknown,
)
from commands.playback.start import start_playback
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
