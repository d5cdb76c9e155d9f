"""Dead letters, for operators: the records that a projection could not apply, with the reason. Postgres table
dead_letters.
"""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Final, Literal

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from query_api.dependencies import EVERY_PAGE, EVERY_READ, ID_PATTERN, AskedPage, From, Operator
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

PREVIEW_BYTES: Final = 500
LETTER_ID_MAX_CHARS: Final = 300

LetterId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=LETTER_ID_MAX_CHARS,
        pattern=ID_PATTERN,
        description="projection/topic/partition/offset",
        examples=["redis/playback.events/3/4711"],
    ),
]

COLUMNS: Final = """
    letter_id, projection, topic, partition, "offset", dead_letters.reason, detail, recorded_at, views,
    octet_length(body) as body_bytes, substring(body for $1) as preview, attempt as failed_retries, applied_at,
    decided_at, decided_by, decided.reason as decision_reason,
    case when applied_attempt is not null then 'applied' when decided.is_discarded then 'discarded'
         when coalesce(decided.retries, 0) > attempt then 'retrying' else 'open' end as status
"""
DEAD_LETTERS: Final = f"""
    select {COLUMNS}
    from dead_letters left join operations_dead_letter_decisions as decided using (letter_id)
    where (recorded_at, letter_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
    order by recorded_at desc, letter_id desc limit $4
"""
DEAD_LETTER: Final = f"""
    select {COLUMNS}, body, headers, body_left
    from dead_letters left join operations_dead_letter_decisions as decided using (letter_id)
    where letter_id = $2
"""
DEAD_LETTER_UNKNOWN = ProblemKind(404, "dead-letter-unknown", "There is no such dead letter")

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
    "views": [],
    "status": "retrying",
    "failed_retries": 0,
    "applied_at": None,
    "decided_at": "2026-01-01T21:00:00Z",
    "decided_by": "operator-1",
    "decision_reason": "the decoder is mended",
}
WHOLE: Final = {
    **EXAMPLE,
    "body": "garbage",
    "body_base64": "Z2FyYmFnZQ==",
    "body_left_in_topic": False,
    "headers": [{"name": "content-type", "value": "application/cloudevents+json"}],
}


class DeadLetterUnknown(Refusal):
    """Nothing was set aside under this id."""


class DeadLetter(BaseModel):
    """A record that a projection set aside, for the `views` named, or none named for all. `preview` is the beginning
    of its body as UTF-8. `status`: whether it waits for a decision, is being tried again, was applied then, or was
    discarded; `decided_by`, at what time and why, say who decided last.
    """

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
    views: list[str]
    status: Literal["open", "retrying", "applied", "discarded"]
    failed_retries: int
    applied_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    decision_reason: str | None


class RecordHeader(BaseModel):
    """A header of the record, its value as UTF-8."""

    name: str
    value: str


class WholeDeadLetter(DeadLetter):
    """All of a record that was set aside. `body`: as UTF-8, null when it is none; `body_base64`: its bytes;
    `body_left_in_topic`: it was too large to be kept here.
    """

    body: str | None
    body_base64: str
    body_left_in_topic: bool
    headers: list[RecordHeader]


class DeadLetterPage(BaseModel):
    """Dead letters, newest first; `next_cursor` is null at the end."""

    items: list[DeadLetter]
    next_cursor: str | None


class AfterLetter(msgspec.Struct):
    """The last letter of a page."""

    recorded_at: datetime
    letter_id: str


TABLE: Final = Table(DeadLetter, name="dead-letters")

routes = APIRouter(prefix="/v1/dead-letters", tags=["operations"])


@routes.get(
    "",
    response_model=DeadLetterPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_READ, *EVERY_PAGE),
)
async def read_dead_letters(
    operator: Operator, sources: From, asked: Annotated[AskedPages, Depends(asked_pages(TABLE))]
) -> Response:
    """What the projections could not apply, newest first."""
    listing = Listing(sources.cursors, scope_of("dead_letters"), AfterLetter)

    async def read(page: AskedPage) -> DeadLetterPage:
        after = listing.after(page.cursor)
        at, letter_id = (after.recorded_at, after.letter_id) if after else (None, None)
        async with sources.postgres_as(operator) as connection:
            rows = await connection.fetch(DEAD_LETTERS, PREVIEW_BYTES, at, letter_id, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, _after)
        return DeadLetterPage(items=[_letter(row) for row in shown], next_cursor=next_cursor)

    return await asked.read(read)


@routes.get("/{letter_id:path}", responses=replies(WHOLE, *EVERY_READ, DEAD_LETTER_UNKNOWN))
async def read_dead_letter(operator: Operator, sources: From, letter_id: LetterId) -> WholeDeadLetter:
    """A record that was set aside, with its whole body and its headers. Raises DeadLetterUnknown."""
    async with sources.postgres_as(operator) as connection:
        row = await connection.fetchrow(DEAD_LETTER, PREVIEW_BYTES, letter_id)
    if row is None:
        raise DeadLetterUnknown(f"nothing was set aside as {letter_id!r}; GET /v1/dead-letters lists what was")
    headers = msgspec.json.decode(row["headers"], type=tuple[tuple[str, bytes], ...])
    return WholeDeadLetter.model_validate(
        {
            **_shown(row),
            "body": _text(row["body"]),
            "body_base64": b64encode(row["body"]).decode(),
            "body_left_in_topic": row["body_left"],
            "headers": [{"name": name, "value": value.decode(errors="replace")} for name, value in headers],
        }
    )


def _after(row: asyncpg.Record) -> AfterLetter:
    return AfterLetter(row["recorded_at"], row["letter_id"])


def _letter(row: asyncpg.Record) -> DeadLetter:
    return DeadLetter.model_validate(_shown(row))


def _shown(row: asyncpg.Record) -> dict[str, object]:
    preview, views = row["preview"].decode(errors="replace"), msgspec.json.decode(row["views"])
    return {**row, "preview": preview, "views": views}


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
