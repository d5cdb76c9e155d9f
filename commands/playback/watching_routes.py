"""What a viewer decides about their own watching: what continue watching and the watch history are to show no more."""

from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from commands import errors
from commands.access import NotYourProfile, OwnWatching, Watcher
from commands.dependencies import Resources, context_of, resources
from commands.playback.recording import decided
from commands.playback.refusals import SessionUnknown
from events.playback import ContinueWatchingHidden, WatchHistoryRemoved
from events.topics import PLAYBACK
from events.types import SessionId, ShelfId, TitleId
from infra.positions import HEADER as POSITION_HEADER
from infra.publisher import KafkaUnavailable

SESSION: Final = """
    select session_id, started_at, title_id, coalesce(series_id, title_id) as shelf, removed_at from playback_sessions
    where profile_id = $1 and session_id = $2
"""
OF_TITLE: Final = """
    select session_id, started_at, title_id, coalesce(series_id, title_id) as shelf from playback_sessions
    where profile_id = $1 and (title_id = $2 or series_id = $2) and removed_at is null order by started_at desc limit $3
"""

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

PlayedSession = Annotated[
    SessionId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$", description="A session of the history")
]
Played = Annotated[
    TitleId,
    Query(alias="title", min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$", description="A title, or a series"),
]
Opened = Annotated[Resources, Depends(resources)]


class RemovedReply(BaseModel):
    """How many sessions were taken out; `more`: not all of them, so ask again."""

    removed: int
    more: bool


@router.post(
    "/continue-watching/{shelf}/hide", status_code=204, responses=errors.refused_by(NotYourProfile, KafkaUnavailable)
)
async def hide(
    watcher: OwnWatching,
    shelf: Shelf,
    request: Request,
    response: Response,
    opened: Opened,
) -> None:
    """Take a row out of continue watching, until a play of it begins. What was watched stays as it is. What is not
    there is hidden too: reports of it may be on their way.
    """
    hidden = ContinueWatchingHidden(account_id=watcher.account_id, profile_id=watcher.profile_id, shelf=shelf)
    event = decided(hidden, context_of(request, watcher.subject), at=opened.clock())
    position = await opened.publisher.publish(PLAYBACK.name, watcher.profile_id, [event])
    response.headers[POSITION_HEADER] = str(position)


@router.delete(
    "/watch-history/{session_id}",
    status_code=204,
    responses=errors.refused_by(NotYourProfile, SessionUnknown, KafkaUnavailable),
)
async def remove(
    watcher: OwnWatching, session_id: PlayedSession, request: Request, response: Response, opened: Opened
) -> None:
    """Take a session out of the watch history, and the row of continue watching along that shows its title. Doing so
    again changes nothing.
    """
    row = await opened.pool.fetchrow(SESSION, watcher.profile_id, session_id)
    if row is None:
        raise SessionUnknown(f"the profile has no session {session_id} (a new one is visible after a moment)")
    if row["removed_at"] is None:
        await _remove(opened, watcher, [row], request, response)


@router.delete("/watch-history", responses=errors.refused_by(NotYourProfile, KafkaUnavailable))
async def remove_title(
    watcher: OwnWatching, title_id: Played, request: Request, response: Response, opened: Opened
) -> RemovedReply:
    """Take all sessions of a title, or of a series, out of the watch history."""
    most = opened.settings.history_remove_max_sessions
    rows = await opened.pool.fetch(OF_TITLE, watcher.profile_id, title_id, most + 1)
    if rows:
        await _remove(opened, watcher, rows[:most], request, response)
    return RemovedReply(removed=min(len(rows), most), more=len(rows) > most)


async def _remove(
    opened: Resources, watcher: Watcher, rows: list[asyncpg.Record], request: Request, response: Response
) -> None:
    context, at = context_of(request, watcher.subject), opened.clock()
    events = [decided(_removed(watcher, row), context, at=at) for row in rows]
    position = await opened.publisher.publish(PLAYBACK.name, watcher.profile_id, events)
    response.headers[POSITION_HEADER] = str(position)


def _removed(watcher: Watcher, row: asyncpg.Record) -> WatchHistoryRemoved:
    return WatchHistoryRemoved(
        account_id=watcher.account_id,
        profile_id=watcher.profile_id,
        session_id=row["session_id"],
        started_at=row["started_at"],
        title_id=row["title_id"],
        shelf=row["shelf"],
    )
