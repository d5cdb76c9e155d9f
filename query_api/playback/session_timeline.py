"""A session's timeline: its events as its player reported them, in order. Cassandra table session_timeline."""

from datetime import datetime
from typing import Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.cassandra import Row
from infra.http.openapi import replies
from query_api.authorization import SESSION_NOT_YOURS, check_session
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, From, Page, Positions, SessionId, Watcher
from query_api.paging import Listing, scope_of
from query_api.playback import TOPIC
from query_api.playback.sessions import SESSION_UNKNOWN, session_unknown
from query_api.times import as_utc

TIMELINE: Final = "select * from session_timeline where session_id = ? and (seq, event_type) > (?, ?) limit ?"

EXAMPLE: Final = {
    "seq": 1,
    "event_type": "playback.PlaybackProgressed.v1",
    "at": "2026-01-01T20:05:40.250000Z",
    "recorded_at": "2026-01-01T20:05:40.310000Z",
    "position_ms": 10_000,
    "report": {
        "type": "heartbeat",
        "seq": 1,
        "at": "2026-01-01T20:05:40.250000Z",
        "position_ms": 10_000,
        "bitrate_kbps": 5_200,
    },
}


class TimelineEvent(BaseModel):
    """One event. `at`: when it happened, corrected for the player's clock; `recorded_at`: when it was taken in;
    `report`: as the player sent it, null for what no player reported.
    """

    seq: int = Field(description="The player's numbering from 0; -1 is the start that Playhead granted")
    event_type: str
    at: datetime
    recorded_at: datetime
    position_ms: int
    report: dict[str, object] | None


class SessionTimeline(BaseModel):
    """Events by seq; `next_cursor` is null at the end of what is known so far."""

    items: list[TimelineEvent]
    next_cursor: str | None


class AfterEvent(msgspec.Struct):
    """The last event of a page."""

    seq: int
    event_type: str


BEFORE_ALL: Final = AfterEvent(-2, "")  # the grant is at -1, before the player's own numbering

routes = APIRouter(prefix="/v1/playback/sessions", tags=["playback"])


@routes.get(
    "/{session_id}/timeline",
    responses=replies(
        {"items": [EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE, SESSION_NOT_YOURS, SESSION_UNKNOWN
    ),
)
async def read_session_timeline(
    caller: Watcher,
    sources: From,
    session_id: SessionId,
    page: Page,
    positions: Positions,
) -> SessionTimeline:
    """What happened in one session, in the player's order."""
    listing = Listing(sources.cursors, scope_of("session_timeline", session_id), AfterEvent)
    after = listing.after(page.cursor) or BEFORE_ALL
    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    async with sources.cassandra.use() as cql:
        rows = await cql.rows(TIMELINE, session_id, after.seq, after.event_type, page.limit + 1)
    if rows:
        check_session(caller, rows[0]["profile_id"])
    elif after is BEFORE_ALL:
        raise session_unknown(session_id)
    shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterEvent(row["seq"], row["event_type"]))
    return SessionTimeline(items=[_event(row) for row in shown], next_cursor=next_cursor)


def _event(row: Row) -> TimelineEvent:
    times = {name: as_utc(row[name]) for name in ("at", "recorded_at")}
    report = msgspec.json.decode(row["report"]) if row["report"] else None
    return TimelineEvent.model_validate({**row, **times, "report": report})
