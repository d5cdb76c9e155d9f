"""What staff did, newest first, for auditors: who, when, from where, and what it changed. Postgres table
operations_staff_actions.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.moments import Moment
from infra.personal_data import VERSION
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, ID_MAX_CHARS, ID_PATTERN, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.ranges import refused
from query_api.tables.table import Projected, Table

TOPICS: Final = ("catalog.events", "identity.events", "operations.events", "subscription.events")
SEALED: Final = re.compile(rf"{VERSION}\.[A-Za-z0-9_-]{{38,}}=*")
"""A nonce and a tag of AES-GCM at the least."""

EXAMPLE: Final = {
    "event_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "at": "2026-02-03T12:00:00Z",
    "principal": "operator-1",
    "client_address": "192.0.2.7",
    "type": "identity.RoleGranted.v1",
    "stream_id": "identity.account-household-1",
    "version": 6,
    "correlation_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c42",
    "before": {"roles": []},
    "after": {"roles": ["editor"]},
    "data": {"account_id": "household-1", "role": "editor"},
}


class StaffAction(BaseModel):
    """An event that staff recorded. `version`: its place in its stream. `data`: as its schema in /schemas says; what is
    personal in it shows as "sealed".
    """

    event_id: str
    at: datetime
    principal: str
    client_address: str = Field(description='an IP address, or "unknown"')
    type: str
    stream_id: str
    version: int
    correlation_id: str | None = Field(description="the request; all that it recorded has the same")
    before: Any = Field(description="what the command changed, as it was; null but on its last event in a stream")
    after: Any = Field(description="the same as it is since")
    data: dict[str, Any]


class StaffActionPage(BaseModel):
    """Actions, newest first; `next_cursor` is null at the end."""

    items: list[StaffAction]
    next_cursor: str | None


class AfterAction(msgspec.Struct):
    """The last action of a page."""

    at: datetime
    event_id: str


@dataclass(frozen=True)
class Filters:
    """Which actions: of whom, on which stream, of which type, from when on, and before when; None is any."""

    principal: str | None
    stream: str | None
    type: str | None
    from_time: datetime | None
    to_time: datetime | None

    @property
    def scope(self) -> str:
        """What a cursor is for."""
        times = (at.isoformat() if at else None for at in (self.from_time, self.to_time))
        return scope_of("staff_actions", self.principal, self.stream, self.type, *times)

    def statement(self, after: AfterAction | None, limit: int) -> tuple[str, list[object]]:
        """The SQL for a page, and its values: of only what is asked for, so that an index fits."""
        asked: list[tuple[str, object]] = [
            ("principal = {}", self.principal),
            ("stream_id = {}", self.stream),
            ("type = {}", self.type),
            ("at >= {}", self.from_time),
            ("at < {}", self.to_time),
        ]
        given = [(condition, value) for condition, value in asked if value is not None]
        conditions = [condition.format(f"${place}") for place, (condition, _) in enumerate(given, 1)]
        values = [value for _, value in given]
        if after is not None:
            conditions.append(f"(at, event_id) < (${len(values) + 1}, ${len(values) + 2})")
            values += [after.at, after.event_id]
        where = f"where {' and '.join(conditions)} " if conditions else ""
        values.append(limit)
        order = f"order by at desc, event_id desc limit ${len(values)}"
        return f"select * from operations_staff_actions {where}{order}", values


def _name(description: str, example: str) -> object:
    return Query(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description=description, examples=[example])


async def filters(
    principal: Annotated[str | None, _name("Who did it", "operator-1")] = None,
    stream: Annotated[str | None, _name("What it was done to, as `stream_id`", "identity.account-household-1")] = None,
    type: Annotated[  # noqa: A002 - the parameter's name for clients
        str | None, _name("The event's type", "identity.RoleGranted.v1")
    ] = None,
    from_time: Annotated[
        Moment | None,
        Query(alias="from", description="From this time on", examples=["2026-02-03T00:00:00+09:00"]),
    ] = None,
    to_time: Annotated[
        Moment | None, Query(alias="to", description="Before this time", examples=["2026-02-04T00:00:00+09:00"])
    ] = None,
) -> Filters:
    """Which actions a request asks for. Raises RequestValidationError."""
    if from_time is not None and to_time is not None and from_time >= to_time:
        raise refused("from", "Input should lie before `to`")
    return Filters(principal, stream, type, from_time, to_time)


Auditor = Annotated[Principal, Depends(Needs(Scope.AUDIT_READ))]
Which = Annotated[Filters, Depends(filters)]

TABLE: Final = Table(StaffAction, name="staff-actions")

routes = APIRouter(prefix="/v1/audit/staff-actions", tags=["audit"])


@routes.get(
    "",
    response_model=StaffActionPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE),
)
async def read_staff_actions(
    caller: Auditor,
    sources: From,
    which: Which,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
) -> Response:
    """What staff did: the events of their commands, as they were recorded."""
    listing = Listing(sources.cursors, which.scope, AfterAction)

    async def read(page: AskedPage) -> StaffActionPage:
        sql, values = which.statement(listing.after(page.cursor), page.limit + 1)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(sql, *values)
        shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterAction(row["at"], row["event_id"]))
        return StaffActionPage(items=[_action(row) for row in shown], next_cursor=next_cursor)

    for topic in TOPICS:
        await sources.postgres_checkpoint.reached(topic, positions)
    return await asked.read(read)


def _action(row: asyncpg.Record) -> StaffAction:
    change = masked(msgspec.json.decode(row["change"])) if row["change"] else {"before": None, "after": None}
    return StaffAction.model_validate({**row, **change, "data": masked(msgspec.json.decode(row["data"]))})


def masked(value: Any) -> Any:
    """A value of JSON with "sealed" for everything in it that is."""
    match value:
        case str():
            return "sealed" if SEALED.fullmatch(value) else value
        case list():
            return [masked(each) for each in value]
        case dict():
            return {name: masked(each) for name, each in value.items()}
        case _:
            return value
