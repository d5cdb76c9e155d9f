"""Dead letters, for operators: the records that a projection could not apply, with the reason. Postgres table
dead_letters.
"""

from datetime import datetime
from typing import Final

import asyncpg
import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from query_api.dependencies import EVERY_PAGE, EVERY_READ, From, Operator, Page
from query_api.paging import Listing, scope_of

PREVIEW_BYTES: Final = 500

DEAD_LETTERS: Final = """
    select letter_id, projection, topic, partition, "offset", reason, detail, recorded_at,
           octet_length(body) as body_bytes, substring(body for $4) as preview
    from dead_letters
    where (recorded_at, letter_id) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
    order by recorded_at desc, letter_id desc limit $3
"""

EXAMPLE: Final = {
    "letter_id": "redis/playback.events/3/4711",
    "projection": "redis",
    "topic": "playback.events",
    "partition": 3,
    "offset": 4711,
    "reason": "undecodable",
    "detail": "JSON is malformed: invalid character (byte 0)",
    "body_bytes": 7,
    "preview": "garbage",
    "recorded_at": "2026-01-01T20:15:30Z",
}


class DeadLetter(BaseModel):
    """A record that a projection set aside. `preview` is the beginning of its body as UTF-8."""

    letter_id: str
    projection: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    body_bytes: int
    preview: str = Field(max_length=PREVIEW_BYTES)
    recorded_at: datetime


class DeadLetterPage(BaseModel):
    """Dead letters, newest first; `next_cursor` is null at the end."""

    items: list[DeadLetter]
    next_cursor: str | None


class AfterLetter(msgspec.Struct):
    """The last letter of a page."""

    recorded_at: datetime
    letter_id: str


routes = APIRouter(prefix="/v1/dead-letters", tags=["operations"])


@routes.get("", responses=replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_READ, *EVERY_PAGE))
async def read_dead_letters(operator: Operator, sources: From, page: Page) -> DeadLetterPage:
    """What the projections could not apply, newest first."""
    listing = Listing(sources.cursors, scope_of("dead_letters"), AfterLetter)
    after = listing.after(page.cursor)
    at, letter_id = (after.recorded_at, after.letter_id) if after else (None, None)
    async with sources.postgres_as(operator) as connection:
        rows = await connection.fetch(DEAD_LETTERS, at, letter_id, page.limit + 1, PREVIEW_BYTES)
    shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterLetter(row["recorded_at"], row["letter_id"]))
    return DeadLetterPage(items=[_letter(row) for row in shown], next_cursor=next_cursor)


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter.model_validate({**row, "preview": row["preview"].decode(errors="replace")})
