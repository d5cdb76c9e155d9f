"""A session's timeline: what its player reported, in its order, what Playhead did with it, and what other players' CMCD
said meanwhile. Cassandra tables session_timeline and session_cmcd, merged by time.
"""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.cassandra import Row
from query_api.authorization import SESSION_NOT_YOURS, check_session
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, AskedPage, From, Positions, SessionId, Watcher
from query_api.drivers import Cql
from query_api.paging import Listing, scope_of
from query_api.playback import TOPIC
from query_api.playback.sessions import SESSION_UNKNOWN, session_unknown
from query_api.playback.timeline_entries import (
    BEFORE_ALL,
    CMCD,
    CMCD_EXAMPLE,
    EXAMPLE,
    GRANTED_SEQ,
    PLAYER,
    PLAYHEAD,
    AfterEvent,
    TimelineEvent,
    event_of,
    merged,
    source_of,
)
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

REPORTS: Final = "select * from session_timeline where session_id = ? and (seq, event_type) > (?, ?) limit ?"
CLOSINGS: Final = 2
"""Rows that Playhead writes after a player's last: expired and terminated."""
RECORDS: Final = "select * from session_cmcd where session_id = ? and (said_ms, record_id) > (?, ?) limit ?"
OF_TARGET: Final = (
    "select * from session_cmcd where session_id = ? and (said_ms, record_id) > (?, ?) and target = ? limit ?"
    " allow filtering"  # within one partition
)

Source = Annotated[
    str | None,
    Query(
        pattern=rf"^({PLAYHEAD}|{PLAYER}|{CMCD}(:[A-Za-z0-9._-]{{1,64}})?)$",
        description="Only what this source said; `cmcd` is every collector",
        examples=[f"{CMCD}:default"],
    ),
]


class SessionTimeline(BaseModel):
    """Events by time; `next_cursor` is null at the end of what is known so far."""

    items: list[TimelineEvent]
    next_cursor: str | None


TABLE: Final = Table(TimelineEvent, name="timeline")

routes = APIRouter(prefix="/v1/playback/sessions", tags=["playback"])


@routes.get(
    "/{session_id}/timeline",
    response_model=SessionTimeline | Projected,
    responses=TABLE.replies(
        {"items": [EXAMPLE, CMCD_EXAMPLE], "next_cursor": None},
        *EVERY_VIEW,
        *EVERY_PAGE,
        SESSION_NOT_YOURS,
        SESSION_UNKNOWN,
    ),
)
async def read_session_timeline(
    caller: Watcher,
    sources: From,
    session_id: SessionId,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
    source: Source = None,
) -> Response:
    """What happened in one session. Reports are in their player's order, and CMCD in the order of its clock."""
    listing = Listing(sources.cursors, scope_of("session_timeline", session_id, source), AfterEvent)

    async def read(page: AskedPage) -> SessionTimeline:
        after = listing.after(page.cursor) or BEFORE_ALL
        async with sources.cassandra.use() as cql:
            wanted = (cql, session_id, after, page.limit, source)
            rows = merged(*await asyncio.gather(_reports(*wanted), _records(*wanted)), after)
            owned = rows[0][0] if rows else await _any_row(cql, session_id)
        if owned is None:
            raise session_unknown(session_id)
        check_session(caller, owned["profile_id"])
        shown, next_cursor = listing.page(rows, page.limit, lambda row: row[1])
        return SessionTimeline(items=[event_of(row) for row, _ in shown], next_cursor=next_cursor)

    await sources.cassandra_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


async def _reports(cql: Cql, session_id: str, after: AfterEvent, limit: int, source: str | None) -> list[Row]:
    if source not in (None, PLAYHEAD, PLAYER):
        return []
    if source is None:
        return await cql.rows(REPORTS, session_id, after.seq, after.event_type, limit + 1)
    begin = max((after.seq, after.event_type), (GRANTED_SEQ, "~")) if source == PLAYER else None
    if begin is not None:
        rows = await cql.rows(REPORTS, session_id, *begin, limit + 1 + CLOSINGS)
        return [row for row in rows if source_of(row) == PLAYER][: limit + 1]
    ours = await asyncio.gather(*(cql.rows(REPORTS, session_id, *place, CLOSINGS) for place in _places(after)))
    return [row for rows in ours for row in rows if source_of(row) == PLAYHEAD][: limit + 1]


def _places(after: AfterEvent) -> list[tuple[int, str]]:
    """Before what Playhead itself wrote: the grant, and the end."""
    closing = (2**31 - 2, "~")
    place = (after.seq, after.event_type)
    return [place, closing] if after.seq < GRANTED_SEQ else [max(place, closing)]


async def _records(cql: Cql, session_id: str, after: AfterEvent, limit: int, source: str | None) -> list[Row]:
    place = (after.said_ms, after.record_id)
    if source is None or source == CMCD:
        return await cql.rows(RECORDS, session_id, *place, limit + 1)
    if source.startswith(f"{CMCD}:"):
        return await cql.rows(OF_TARGET, session_id, *place, source.partition(":")[2], limit + 1)
    return []


async def _any_row(cql: Cql, session_id: str) -> Row | None:
    """A row of the session, when the page has none."""
    rows = await cql.rows(REPORTS, session_id, BEFORE_ALL.seq, "", 1) or await cql.rows(RECORDS, session_id, -1, "", 1)
    return rows[0] if rows else None
