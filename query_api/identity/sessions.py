"""Where an account is signed in, and where it was, newest first. Postgres table identity_sign_ins, and beside it when
each sign-in's tokens were last renewed and how long they last.
"""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from infra.clock import utc_now
from query_api.access import EVERY_ACCOUNT_VIEW
from query_api.dependencies import EVERY_PAGE, AskedPage, From, Positions
from query_api.identity import TOPIC
from query_api.identity.access import Of, Opener
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

SESSIONS: Final = """
    select s.*, d.name, d.type as device_type, g.rotated_at as last_used_at, g.expires_at, k.wrapped,
           s.ended_at is null and coalesce(g.expires_at > $5, false) as lasts
    from identity_sign_ins as s
    left join identity_grants as g on g.sign_in_id = s.sign_in_id
    left join identity_devices as d on d.account_id = s.account_id and d.device_id = s.device_id
    left join person_key as k on k.person_id = s.account_id
    where s.account_id = $1
      and (s.signed_in_at, s.sign_in_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
      and (not $6 or s.ended_at is null and g.expires_at > $5)
    order by s.signed_in_at desc, s.sign_in_id desc limit $4
"""

EXAMPLE: Final = {
    "sign_in_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c40",
    "device_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3f",
    "device_name": "Living room",
    "device_type": "tv",
    "method": "password",
    "signed_in_at": "2026-02-03T19:00:00Z",
    "last_used_at": "2026-02-03T21:40:00Z",
    "expires_at": "2026-04-04T21:40:00Z",
    "ended_at": None,
    "end_reason": None,
    "lasts": True,
    "current": True,
}


class Session(BaseModel):
    """A sign-in. `current`: whether the request is made with its token."""

    sign_in_id: str
    device_id: str
    device_name: str | None = Field(description="null when the device was removed, or its name erased")
    device_type: str | None
    method: str
    signed_in_at: datetime
    last_used_at: datetime | None = Field(description="when its tokens were last renewed; null when it is over")
    expires_at: datetime | None = Field(description="until when it lasts if it is not used; null when it is over")
    ended_at: datetime | None = Field(description="null while it lasts, and when it was not used for too long")
    end_reason: str | None
    lasts: bool
    current: bool


class SessionPage(BaseModel):
    """Sessions, newest first; `next_cursor` is null at the end."""

    items: list[Session]
    next_cursor: str | None


class AfterSession(msgspec.Struct):
    """The last session of a page."""

    signed_in_at: datetime
    sign_in_id: str


Lasting = Annotated[bool, Query(description="Leave out those that are over", examples=[True])]

TABLE: Final = Table(Session, name="sessions")

routes = APIRouter(prefix="/v1/accounts/{account_id}/sessions", tags=["accounts"])


@routes.get(
    "",
    response_model=SessionPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_ACCOUNT_VIEW, *EVERY_PAGE),
)
async def read_sessions(
    of: Of,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
    lasting: Lasting = False,
) -> Response:
    """Where the account is signed in, and where it was."""
    listing = Listing(sources.cursors, scope_of("sessions", of.account_id, lasting), AfterSession)

    async def read(page: AskedPage) -> SessionPage:
        after = listing.after(page.cursor)
        place = (after.signed_in_at, after.sign_in_id) if after else (None, None)
        async with sources.postgres_as(of.caller) as connection:
            rows = await connection.fetch(SESSIONS, of.account_id, *place, page.limit + 1, utc_now(), lasting)
        shown, next_cursor = listing.page(rows, page.limit, _after)
        opener, current = of.opener(rows), of.caller.sign_in_id
        return SessionPage(items=[_session(row, opener, current) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _after(row: asyncpg.Record) -> AfterSession:
    return AfterSession(row["signed_in_at"], row["sign_in_id"])


def _session(row: asyncpg.Record, opener: Opener, current: str | None) -> Session:
    told = {"device_name": opener.open(row["name"]), "current": row["sign_in_id"] == current}
    return Session.model_validate({**row, **told})
