"""What a viewer decides about their own watching: what continue watching is to show no more."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from commands import errors
from commands.access import NotYourProfile, OwnWatching
from commands.dependencies import Resources, context_of, resources
from commands.playback.recording import decided
from events.playback import ContinueWatchingHidden
from events.topics import PLAYBACK
from events.types import ShelfId
from infra.positions import HEADER as POSITION_HEADER
from infra.publisher import KafkaUnavailable

router = APIRouter(prefix="/v1/profiles/{profile_id}", tags=["playback"])

Shelf = Annotated[
    ShelfId,
    Path(
        min_length=1,
        max_length=64,
        pattern="^[0-9a-zA-Z_-]+$",
        description="A row of continue watching: its series_id, or its title_id where it has no series",
    ),
]


@router.post(
    "/continue-watching/{shelf}/hide", status_code=204, responses=errors.refused_by(NotYourProfile, KafkaUnavailable)
)
async def hide(
    watcher: OwnWatching,
    shelf: Shelf,
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
) -> None:
    """Take a row out of continue watching, until a play of it begins. What was watched stays as it is. What is not
    there is hidden too: reports of it may be on their way.
    """
    hidden = ContinueWatchingHidden(account_id=watcher.account_id, profile_id=watcher.profile_id, shelf=shelf)
    event = decided(hidden, context_of(request, watcher.subject), at=opened.clock())
    position = await opened.publisher.publish(PLAYBACK.name, watcher.profile_id, [event])
    response.headers[POSITION_HEADER] = str(position)
