"""What operators asked of views over HTTP, newest first, and what became of it. Postgres table view_requests, which the
commands API and `playhead rebuilds` write.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from query_api.dependencies import EVERY_PAGE, EVERY_READ, AskedPage, From, Operator
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

VIEW_PATTERN: Final = r"^[a-z0-9_]+$"
VIEW_MAX_CHARS: Final = 63
NUMBER_MAX: Final = 2**31 - 1

ViewName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=VIEW_MAX_CHARS,
        pattern=VIEW_PATTERN,
        description="As in GET /v1/views",
        examples=["playback_sessions"],
    ),
]
RequestNumber = Annotated[
    int, Path(ge=1, le=NUMBER_MAX, description="`version` in the reply to the request", examples=[3])
]

COLUMNS: Final = """
    view, number, action, version, max_events_per_s, accept, force, reason, asked_by, asked_at, begun_at, tries,
    trouble, ended_at, detail,
    coalesce(outcome, case when begun_at is null then 'waiting' else 'under_way' end) as status
"""
REQUESTS: Final = f"""
    select {COLUMNS} from view_requests
    where ($1::text is null or view = $1)
      and (asked_at, view, number) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''), coalesce($4, 0))
    order by asked_at desc, view desc, number desc limit $5
"""
REQUEST: Final = f"select {COLUMNS} from view_requests where view = $1 and number = $2"
VIEW_REQUEST_UNKNOWN = ProblemKind(404, "view-request-unknown", "There is no such request")

EXAMPLE: Final = {
    "view": "playback_sessions",
    "number": 3,
    "action": "swap",
    "status": "failed",
    "version": 2,
    "max_events_per_s": None,
    "accept": False,
    "force": True,
    "reason": "the fold of sessions is mended",
    "asked_by": "operator-1",
    "asked_at": "2026-01-01T20:15:30Z",
    "begun_at": "2026-01-01T20:15:31Z",
    "tries": 1,
    "trouble": None,
    "ended_at": "2026-01-01T20:15:40Z",
    "detail": "version 2 of playback_sessions is retired, not ready",
}


class ViewRequestUnknown(Refusal):
    """Nothing was asked under this number."""


class ViewRequest(BaseModel):
    """What somebody asked of a view. `version`: what it is done with; of a rebuild, what came of it. `tries`: how often
    it was begun, as what is interrupted is begun again; `trouble`: why it is not done yet. `detail`: what it came to,
    or why it could not be done, or is not wanted any more.
    """

    view: str
    number: int
    action: Literal["rebuild", "pause", "resume", "verify", "swap", "rollback", "retire"]
    status: Literal["waiting", "under_way", "completed", "failed", "canceled"]
    version: int | None
    max_events_per_s: int | None
    accept: bool
    force: bool
    reason: str | None
    asked_by: str
    asked_at: datetime
    begun_at: datetime | None
    tries: int
    trouble: str | None
    ended_at: datetime | None
    detail: str | None


class ViewRequestPage(BaseModel):
    """Requests, newest first; `next_cursor` is null at the end."""

    items: list[ViewRequest] = Field(description="newest first")
    next_cursor: str | None


class AfterRequest(msgspec.Struct):
    """The last request of a page."""

    asked_at: datetime
    view: str
    number: int


TABLE: Final = Table(ViewRequest, name="view-requests")

routes = APIRouter(prefix="/v1/views", tags=["operations"])


@routes.get(
    "/requests",
    response_model=ViewRequestPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_READ, *EVERY_PAGE),
)
async def read_view_requests(
    operator: Operator,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    view: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=VIEW_MAX_CHARS,
            pattern=VIEW_PATTERN,
            description="Of this view",
            examples=["playback_sessions"],
        ),
    ] = None,
) -> Response:
    """What was asked of the versions of views, newest first, and what became of it."""
    listing = Listing(sources.cursors, scope_of("view_requests", view), AfterRequest)

    async def read(page: AskedPage) -> ViewRequestPage:
        after = listing.after(page.cursor)
        at, name, number = (after.asked_at, after.view, after.number) if after else (None, None, None)
        async with sources.postgres_as(operator) as connection:
            rows = await connection.fetch(REQUESTS, view, at, name, number, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, _key)
        return ViewRequestPage(items=[ViewRequest.model_validate({**row}) for row in shown], next_cursor=next_cursor)

    return await asked.read(read)


@routes.get("/{view}/requests/{number}", responses=replies(EXAMPLE, *EVERY_READ, VIEW_REQUEST_UNKNOWN))
async def read_view_request(operator: Operator, sources: From, view: ViewName, number: RequestNumber) -> ViewRequest:
    """What was asked, and what became of it. Raises ViewRequestUnknown."""
    async with sources.postgres_as(operator) as connection:
        row = await connection.fetchrow(REQUEST, view, number)
    if row is None:
        raise ViewRequestUnknown(f"nothing was asked of {view!r} under {number}")
    return ViewRequest.model_validate({**row})


def _key(row: asyncpg.Record) -> AfterRequest:
    return AfterRequest(row["asked_at"], row["view"], row["number"])
