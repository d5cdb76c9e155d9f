"""Continue watching: what a profile should be offered to resume, newest first. Redis hash continue_watching:{profile}.

Read by every client at every start, so its reply is built by msgspec from what Redis holds, and the Pydantic models
only document it; see also plain_requests.py.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.http.openapi import replies
from query_api.dependencies import EVERY_PROFILE_VIEW, Caller, From, Limit, OwnProfile, Positions, ProfileId
from query_api.playback import TOPIC
from query_api.playback.playable import Holdings, Unplayable, Viewer, unplayable
from query_api.sources import Sources

IN_PROGRESS: Final = "in_progress"
OFFERED: Final = (IN_PROGRESS, "next_episode")
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
    `next_title_id` is to be offered from its beginning; `next_title` says what that is. `unplayable`: why what is
    offered cannot be played now, of those that were asked for all the same.
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
    """What to offer, newest first: a row a film, and one a series."""

    items: list[ContinueWatchingItem]


class NextTitle(msgspec.Struct):
    """See NextTitleModel."""

    name: str
    season_number: int | None
    episode_number: int | None


class Row(msgspec.Struct, kw_only=True):
    """A row as the projection stores it, without what only the projection needs; `progress`, `next_title` and
    `unplayable` are added here. `hidden`: by its viewer, and never in a reply (rule R7).
    """

    title_id: str
    kind: str
    name: str
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    position_ms: int
    duration_ms: int
    progress: float = 0.0
    state: str
    next_title_id: str | None = None
    next_title: NextTitle | None = None
    unplayable: Unplayable | None = None
    updated_at: str
    hidden: bool | msgspec.UnsetType = msgspec.UNSET


class Reply(msgspec.Struct):
    """The reply's body."""

    items: list[Row]


_rows = msgspec.json.Decoder(Row)
_replies = msgspec.json.Encoder()


@dataclass(frozen=True)
class Asked:
    """Whose rows a request wants, and for whom; None: for staff."""

    profile_id: str
    viewer: Viewer | None
    limit: int
    with_unplayable: bool = False


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
    responses=replies({"items": [EXAMPLE]}, *EVERY_PROFILE_VIEW),
)
async def read_continue_watching(
    profile_id: OwnProfile,
    viewer: Annotated[Viewer | None, Depends(asking)],
    sources: From,
    limit: Limit,
    positions: Positions,
    include: Annotated[
        Literal["unplayable"] | None, Query(description="Also what cannot be played now, and why")
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
    return Response(await continue_watching_json(sources, asked), media_type="application/json")


async def continue_watching_json(sources: Sources, asked: Asked) -> bytes:
    """The reply's body. Raises StoreUnavailable."""
    rows, held = await _read(sources, asked)
    holdings, items = Holdings(held, utc_now()), list[Row]()
    while len(items) < asked.limit and (more := list(islice(rows, asked.limit - len(items)))):
        items += await _shown(sources, asked, holdings, more)
    return _replies.encode(Reply(items))


async def _read(sources: Sources, asked: Asked) -> tuple[Iterator[Row], list[bytes]]:
    """The rows and what the account holds, in one round trip. Raises StoreUnavailable."""
    store, viewer = sources.redis, asked.viewer
    keys = [f"continue_watching:{{{asked.profile_id}}}"]
    if viewer is not None:
        keys.append(f"account_holdings:{{{viewer.account_id}}}")
    try:
        reading = store.connected().values_of(*keys)
        known = sources.withdrawn.known()
        if known is None:
            (values, *held), withdrawn = await asyncio.gather(reading, sources.withdrawn.read())
        else:
            (values, *held), withdrawn = await reading, known
    except store.failures as error:
        raise store.failed(error) from error
    return resumable(values, withdrawn), held[0] if held else []


async def _shown(sources: Sources, asked: Asked, holdings: Holdings, rows: list[Row]) -> list[Row]:
    """Those of some rows that are to be shown, with what comes next."""
    viewer = asked.viewer
    facts = await sources.title_facts.of({_offered(row) for row in rows}, viewer.territory if viewer else None)
    shown: list[Row] = []
    for row in rows:
        offered = _offered(row)
        title = facts.get(offered)
        if viewer is not None:
            row.unplayable = unplayable(
                offered, title, viewer, holdings, subscription_required=sources.subscription_required
            )
        if row.state != IN_PROGRESS and title is not None:
            row.next_title = NextTitle(title.name, title.season_number, title.episode_number)
        if row.unplayable is None or asked.with_unplayable:
            shown.append(row)
    return shown


def resumable(values: list[bytes], withdrawn: frozenset[str] = frozenset()) -> Iterator[Row]:
    """The rows that are neither completed, hidden nor withdrawn, newest first, of values that are each
    "<offset>:<updated_ms>:<row>".
    """
    for _, row_json in sorted(map(_updated_and_row, values), reverse=True):
        row = _rows.decode(row_json)
        if row.state not in OFFERED or row.hidden is True:
            continue
        if withdrawn and (_offered(row) in withdrawn or row.series_id in withdrawn):
            continue
        row.progress = progress_of(row.position_ms, row.duration_ms)
        yield row


def progress_of(position_ms: int, duration_ms: int) -> float:
    """How far into a title a position is: 0 to 1, to four places."""
    return round(min(position_ms / duration_ms, 1.0), 4) if duration_ms > 0 else 0.0


def _offered(row: Row) -> str:
    """What a row sends its viewer to: the title, or what follows it."""
    return row.title_id if row.state == IN_PROGRESS else str(row.next_title_id)


def _updated_and_row(value: bytes) -> tuple[int, bytes]:
    _, updated_ms, row_json = value.split(b":", 2)
    return int(updated_ms), row_json
