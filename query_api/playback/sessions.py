"""One playback session as a whole, its summary (docs/measures.md has the rules). Postgres table playback_sessions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from infra.person_keys import opened_by
from infra.personal_data import PersonKey
from query_api.authorization import SESSION_NOT_YOURS, SessionNotYours, check_session
from query_api.dependencies import EVERY_VIEW, From, Master, Positions, SessionId, Watcher
from query_api.playback import TOPIC


class SessionUnknown(Refusal):
    """No such session is known to the view, or no longer."""


SESSION_UNKNOWN = ProblemKind(404, "session-unknown", "There is no such playback session")

EXISTS: Final = "select playback_session_exists($1)"

EXAMPLE: Final = {
    "session_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "account_id": "household-1",
    "profile_id": "viewer-1",
    "title_id": "made-up-s1e1",
    "title_name": "The First Evening",
    "title_kind": "episode",
    "series_id": "made-up",
    "series_name": "Made Up",
    "season_number": 1,
    "episode_number": 1,
    "duration_ms": 1_500_000,
    "credits_start_ms": 1_440_000,
    "next_title_id": "made-up-s1e2",
    "device_id": "tv-1",
    "device_type": "tv",
    "device_name": "Living room",
    "platform": "tizen",
    "os": "Tizen 8",
    "model": "S90D",
    "player": "made-up-player",
    "player_version": "2.1.0",
    "app_version": "8.4.1",
    "cdn": "made-up-cdn",
    "cdn_edge": "icn-2",
    "offline": False,
    "territory": "KR",
    "entitled_by": "subscription",
    "limit_unchecked": False,
    "state": "terminated",
    "started_at": "2026-01-01T20:05:30Z",
    "last_at": "2026-01-01T20:15:42Z",
    "last_recorded_at": "2026-01-01T20:15:42Z",
    "last_seq": 62,
    "position_ms": 600_000,
    "event_count": 63,
    "cmcd_count": 0,
    "startup_ms": 820,
    "watched": [[0, 240_000], [300_000, 600_000]],
    "watched_ms": 540_000,
    "completion": 0.36,
    "playing_ms": 560_000,
    "ad_ms": 30_000,
    "stall_count": 2,
    "stalled_ms": 3_100,
    "rebuffering_ratio": 0.0055,
    "average_bitrate_kbps": 5_800,
    "dropped_frames": 12,
    "error_count": 0,
    "fatal_error_code": None,
    "exited_before_video": False,
    "ended_at": "2026-01-01T20:15:50Z",
    "exit_reason": "terminated",
    "ended_by": {"profile_id": "viewer-2", "session_id": None, "device_name": "Kitchen", "title_name": "Sintel"},
}


class EndedBy(BaseModel):
    """Who ended a session from elsewhere: the profile, and the session, device and title that it was for, if any."""

    profile_id: str | None = None
    session_id: str | None = None
    device_name: str | None = None
    title_name: str | None = None


class Session(BaseModel):
    """A playback session: whose, of what, on which device, where its playhead is, and how it was watched."""

    session_id: str
    account_id: str
    profile_id: str
    title_id: str
    title_name: str
    title_kind: str
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    duration_ms: int
    credits_start_ms: int | None
    next_title_id: str | None
    device_id: str
    device_type: str
    device_name: str | None = Field(description="null when it was erased, too")
    platform: str | None
    os: str | None
    model: str | None
    player: str | None
    player_version: str | None
    app_version: str | None
    cdn: str | None = Field(description="the CDN that a report named last")
    cdn_edge: str | None
    offline: bool = Field(description="played from a download, and reported afterwards")
    territory: str | None = Field(description="where it was granted (ISO 3166-1 alpha-2)")
    entitled_by: Literal["subscription", "purchase", "free"] | None
    limit_unchecked: bool = Field(description="granted while nobody could count the account's streams")
    state: Literal["starting", "playing", "paused", "buffering", "ended", "expired", "terminated"]
    started_at: datetime
    last_at: datetime = Field(description="when its last report happened, corrected for the player's clock")
    last_recorded_at: datetime = Field(description="when the last event of the session was recorded")
    last_seq: int = Field(description="the highest seq reported; -1: granted, no report yet")
    position_ms: int = Field(description="the playhead, from the title's start")
    event_count: int = Field(description="distinct events, the grant included")
    cmcd_count: int = Field(description="CMCD records")
    startup_ms: int | None = Field(description="play intent to first frame")
    watched: list[tuple[int, int]] = Field(description="what was played, as [from_ms, to_ms] in the title, ascending")
    watched_ms: int = Field(description="how much of the title was played, what was played twice counted once")
    completion: float | None = Field(ge=0, le=1, description="watched_ms / duration_ms; null: the title has no length")
    playing_ms: int = Field(description="time spent playing: without pauses, stalls, seeks and ads")
    ad_ms: int = Field(description="time spent in ad breaks")
    stall_count: int = Field(description="waits for data; not those at startup, after a seek or in an ad")
    stalled_ms: int = Field(description="how long it stalled")
    rebuffering_ratio: float | None = Field(description="stalled_ms / (stalled_ms + playing_ms); null: both are 0")
    average_bitrate_kbps: int | None = Field(description="weighted by playing time; null: no bitrate was reported")
    dropped_frames: int | None
    error_count: int
    fatal_error_code: str | None
    exited_before_video: bool = Field(description="over without a first frame")
    ended_at: datetime | None
    exit_reason: Literal["completed", "stopped", "error", "expired", "terminated"] | None
    ended_by: EndedBy | None = Field(description="of a session that was terminated")


SESSION: Final = f"""
    select {", ".join(Session.model_fields)}, k.wrapped
    from playback_sessions as s left join person_key as k on k.person_id = s.account_id where session_id = $1
"""

routes = APIRouter(prefix="/v1/playback/sessions", tags=["playback"])


@routes.get("/{session_id}", responses=replies(EXAMPLE, *EVERY_VIEW, SESSION_NOT_YOURS, SESSION_UNKNOWN))
async def read_session(
    caller: Watcher, sources: From, session_id: SessionId, master: Master, positions: Positions
) -> Session:
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
    return _session(dict(row), master.unwrap(row["wrapped"], row["account_id"]))


def _session(row: Mapping[str, Any], key: PersonKey | None) -> Session:
    edges = msgspec.json.decode(row["watched"], type=list[int])
    watched = list(zip(edges[::2], edges[1::2], strict=True))
    ended_by = msgspec.json.decode(row["ended_by"], type=dict[str, str] | None)
    named = with_device_names({"device_name": row["device_name"], "ended_by": ended_by}, key)
    return Session.model_validate({**row, "watched": watched, **named})


def with_device_names(session: Mapping[str, Any], key: PersonKey | None) -> dict[str, Any]:
    """A session with the names of its device and of that which ended it opened; null is what is erased, or not the
    caller's to open.
    """
    opened = {**session, "device_name": opened_by(key, session["device_name"])}
    if by := session["ended_by"]:
        opened["ended_by"] = {**by, "device_name": opened_by(key, by.get("device_name"))}
    return opened


def session_unknown(session_id: str) -> SessionUnknown:
    """The refusal for a session that a view does not hold."""
    return SessionUnknown(
        f"No session {session_id!r} is known. If it just started, send the Playhead-Position of that reply."
    )
