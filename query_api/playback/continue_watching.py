"""Continue watching: what a profile should be offered to resume, newest first. Redis hash continue_watching:{profile}.

Read by every client at every start, so its reply is built by msgspec (continue_watching_reply.py), and the Pydantic
models only document it; see also plain_requests.py.
"""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from infra.access.permissions import Principal
from infra.http.openapi import replies
from query_api.dependencies import EVERY_PROFILE_VIEW, Caller, From, Limit, OwnProfile, Positions, ProfileId
from query_api.playback import TOPIC
from query_api.playback.continue_watching_kept import Asked
from query_api.playback.continue_watching_reply import continue_watching_reply
from query_api.playback.playable import Unplayable, Viewer

CATALOG: Final = "catalog.events"
"""What the withdrawn titles are folded from, which are left out, and what says what may be played."""
SUBSCRIPTION: Final = "subscription.events"
"""What the holdings of accounts are folded from."""

EXAMPLE: Final = {
    "title_id": "made-up-s1e1",
    "kind": "episode",
    "name": "The First Evening",
    "series_id": "made-up",
    "series_name": "Made Up",
    "season_number": 1,
    "episode_number": 1,
    "position_ms": 600_000,
    "duration_ms": 1_500_000,
    "progress": 0.4,
    "state": "in_progress",
    "next_title_id": "made-up-s1e2",
    "next_title": None,
    "unplayable": None,
    "updated_at": "2026-01-01T20:15:30Z",
}


class NextTitleModel(BaseModel):
    """What the next title is called, and which episode it is."""

    name: str
    season_number: int | None
    episode_number: int | None


class ContinueWatchingItem(BaseModel):
    """A title to go on with. in_progress: resume `title_id` at `position_ms`; next_episode: `title_id` is finished, and
    `next_title_id`, the next episode that can be played, is to be offered from its beginning; `next_title` says what
    that is. `unplayable`: why what is offered cannot be played now, of those that were asked for all the same.
    """

    title_id: str
    kind: str
    name: str
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    position_ms: int
    duration_ms: int
    progress: float = Field(ge=0, le=1, description="position_ms / duration_ms")
    state: Literal["in_progress", "next_episode"]
    next_title_id: str | None
    next_title: NextTitleModel | None
    unplayable: Unplayable | None
    updated_at: str


class ContinueWatching(BaseModel):
    """What to offer, newest first: a row a film, and one a series. `complete`: false while rows may be missing, since
    the store of this view came back empty and is being filled again.
    """

    items: list[ContinueWatchingItem]
    complete: bool


def viewer_of(caller: Principal, profile_id: str, territory: str | None) -> Viewer | None:
    """Whoever asks for their own rows; None: somebody else does."""
    if caller.account_id is None or caller.profile_id != profile_id:
        return None
    return Viewer(caller.account_id, caller.maturity_limit, territory)


async def asking(caller: Caller, profile_id: ProfileId, request: Request, sources: From) -> Viewer | None:
    """Who asks for a profile's rows; see viewer_of()."""
    return viewer_of(caller, profile_id, sources.territories.of(request.scope))


routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/continue-watching",
    response_model=ContinueWatching,
    responses=replies({"items": [EXAMPLE], "complete": True}, *EVERY_PROFILE_VIEW),
)
async def read_continue_watching(
    profile_id: OwnProfile,
    viewer: Annotated[Viewer | None, Depends(asking)],
    sources: From,
    limit: Limit,
    positions: Positions,
    include: Annotated[
        Literal["unplayable"] | None,
        Query(description="Also what cannot be played now, and why", examples=["unplayable"]),
    ] = None,
) -> Response:
    """What this profile left unfinished, and the episodes that follow what it finished, newest first: what its viewer
    may play now, where they are. Staff is shown all.
    """
    await sources.redis_checkpoint.reached(TOPIC, positions)
    await sources.redis_checkpoint.reached(SUBSCRIPTION, positions)
    if any(position.topic == CATALOG for position in positions):
        await sources.redis_checkpoint.reached(CATALOG, positions)
        sources.withdrawn.forget()
        sources.title_facts.forget()
    asked = Asked(profile_id, viewer, limit, with_unplayable=include is not None)
    reply = await continue_watching_reply(sources, asked)
    return Response(reply.body, media_type="application/json")
