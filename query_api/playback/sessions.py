"""One playback session as a whole. Postgres table playback_sessions."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from query_api.authorization import SESSION_NOT_YOURS, SessionNotYours, check_session
from query_api.dependencies import EVERY_VIEW, From, Positions, SessionId, Watcher
from query_api.playback import TOPIC


class SessionUnknown(Refusal):
    """No such session is known to the view, or no longer."""


SESSION_UNKNOWN = ProblemKind(404, "session-unknown", "There is no such playback session")

SESSION: Final = "select * from playback_sessions where session_id = $1"
EXISTS: Final = "select playback_session_exists($1)"

EXAMPLE: Final = {
    "session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "account_id": "household-1",
    "profile_id": "viewer-1",
    "title_id": "made-up-s1e1",
    "title_name": "The First Evening",
    "title_kind": "episode",
    "series_id": "made-up",
    "season_number": 1,
    "episode_number": 1,
    "device_id": "tv-1",
    "device_type": "tv",
    "state": "playing",
    "started_at": "2026-01-01T20:05:30Z",
    "last_at": "2026-01-01T20:15:30Z",
    "last_seq": 62,
    "position_ms": 600_000,
    "duration_ms": 1_500_000,
    "event_count": 63,
    "error_count": 0,
    "startup_ms": 820,
    "ended_at": None,
    "end_reason": None,
}


class Session(BaseModel):
    """A playback session: where its playhead is, and how it went. `startup_ms`: play intent to first frame."""

    session_id: str
    account_id: str
    profile_id: str
    title_id: str
    title_name: str
    title_kind: str
    series_id: str | None
    season_number: int | None
    episode_number: int | None
    device_id: str
    device_type: str
    state: str
    started_at: datetime
    last_at: datetime
    last_seq: int
    position_ms: int
    duration_ms: int
    event_count: int
    error_count: int
    startup_ms: int | None
    ended_at: datetime | None
    end_reason: str | None


routes = APIRouter(prefix="/v1/playback/sessions", tags=["playback"])


@routes.get("/{session_id}", responses=replies(EXAMPLE, *EVERY_VIEW, SESSION_NOT_YOURS, SESSION_UNKNOWN))
async def read_session(caller: Watcher, sources: From, session_id: SessionId, positions: Positions) -> Session:
    """One session: whose, of what, on which device, where its playhead is, and how it went."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        row = await connection.fetchrow(SESSION, session_id)
        elsewhere = row is None and await connection.fetchval(EXISTS, session_id)
    if elsewhere:
        raise SessionNotYours("The session was played by another account than the one that the access token is for.")
    if row is None:
        raise session_unknown(session_id)
    check_session(caller, row["profile_id"])
    return Session.model_validate(dict(row))


def session_unknown(session_id: str) -> SessionUnknown:
    """The refusal for a session that a view does not hold."""
    return SessionUnknown(
        f"No session {session_id!r} is known. If it just started, send the Playhead-Position of that reply."
    )
