"""Continue watching: what a profile should be offered to resume, newest first. Redis hash continue_watching:{profile}.

Read by every client at every start, so its reply is built by msgspec from what Redis holds, and the Pydantic models
only document it; see also plain_requests.py.
"""

import asyncio
from typing import Final, Literal

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from query_api.dependencies import EVERY_PROFILE_VIEW, From, Limit, OwnProfile, Positions
from query_api.playback import TOPIC
from query_api.sources import Sources

COMPLETED: Final = "completed"
IN_PROGRESS: Final = "in_progress"
CATALOG: Final = "catalog.events"
"""What the withdrawn titles are folded from, which are left out."""

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
    "updated_at": "2026-01-01T20:15:30Z",
}


class ContinueWatchingItem(BaseModel):
    """A title to go on with. in_progress: resume `title_id` at `position_ms`; next_episode: `title_id` is finished, and
    `next_title_id` is to be offered from its beginning.
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
    updated_at: str


class ContinueWatching(BaseModel):
    """What to offer, newest first: a row a film, and one a series."""

    items: list[ContinueWatchingItem]


class Row(msgspec.Struct, kw_only=True):
    """A row as the projection stores it, without what only the projection needs; `progress` is added here. `hidden`:
    by its viewer, and never in a reply (rule R7).
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
    updated_at: str
    hidden: bool | msgspec.UnsetType = msgspec.UNSET


class Reply(msgspec.Struct):
    """The reply's body."""

    items: list[Row]


_rows = msgspec.json.Decoder(Row)
_replies = msgspec.json.Encoder()


routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/profiles/{profile_id}/continue-watching",
    response_model=ContinueWatching,
    responses=replies({"items": [EXAMPLE]}, *EVERY_PROFILE_VIEW),
)
async def read_continue_watching(profile_id: OwnProfile, sources: From, limit: Limit, positions: Positions) -> Response:
    """What this profile left unfinished, and the episodes that follow what it finished, newest first."""
    await sources.redis_checkpoint.reached(TOPIC, positions)
    if any(position.topic == CATALOG for position in positions):
        await sources.redis_checkpoint.reached(CATALOG, positions)
        sources.withdrawn.forget()
    return Response(await continue_watching_json(sources, profile_id, limit), media_type="application/json")


async def continue_watching_json(sources: Sources, profile_id: str, limit: int) -> bytes:
    """The reply's body. Raises StoreUnavailable."""
    store = sources.redis
    try:
        reading = store.connected().values(f"continue_watching:{{{profile_id}}}")
        known = sources.withdrawn.known()
        if known is None:
            values, withdrawn = await asyncio.gather(reading, sources.withdrawn.read())
        else:
            values, withdrawn = await reading, known
    except store.failures as error:
        raise store.failed(error) from error
    return _replies.encode(Reply(resumable(values, limit, withdrawn)))


def resumable(values: list[bytes], limit: int, withdrawn: frozenset[str] = frozenset()) -> list[Row]:
    """The newest rows that are neither completed, hidden nor withdrawn, of values that are each
    "<offset>:<updated_ms>:<row>".
    """
    rows: list[Row] = []
    for _, row_json in sorted(map(_updated_and_row, values), reverse=True):
        row = _rows.decode(row_json)
        if row.state != COMPLETED and row.hidden is not True and withdrawn.isdisjoint(_offered(row)):
            row.progress = progress_of(row.position_ms, row.duration_ms)
            rows.append(row)
            if len(rows) == limit:
                break
    return rows


def progress_of(position_ms: int, duration_ms: int) -> float:
    """How far into a title a position is: 0 to 1, to four places."""
    return round(min(position_ms / duration_ms, 1.0), 4) if duration_ms > 0 else 0.0


def _offered(row: Row) -> tuple[str | None, ...]:
    """What a row sends its viewer to: the title, or what follows it; and its series."""
    return (row.title_id if row.state == IN_PROGRESS else row.next_title_id, row.series_id)


def _updated_and_row(value: bytes) -> tuple[int, bytes]:
    _, updated_ms, row_json = value.split(b":", 2)
    return int(updated_ms), row_json
