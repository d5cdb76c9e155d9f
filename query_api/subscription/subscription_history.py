"""An account's subscription as the events of its stream, newest first. Postgres table subscription_history."""

from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from query_api.dependencies import EVERY_PAGE, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.subscription import TOPIC
from query_api.subscription.access import EVERY_ACCOUNT_VIEW, OwnAccount, Payer
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

HISTORY: Final = """
    select * from subscription_history where account_id = $1 and ($2::bigint is null or version < $2)
    order by version desc limit $3
"""

EXAMPLE: Final = {
    "event_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "version": 6,
    "type": "SubscriptionCanceled",
    "at": "2026-02-03T12:00:00Z",
    "principal": "viewer-1",
    "data": {
        "account_id": "household-1",
        "subscription_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
        "ends_at": "2026-02-28T09:30:00Z",
        "reason": None,
    },
}


class HistoryEvent(BaseModel):
    """An event. `version`: its place in the account's stream. `data`: as its schema in /schemas says."""

    event_id: str
    version: int
    type: str
    at: datetime
    principal: str | None
    data: dict[str, Any]


class HistoryPage(BaseModel):
    """Events, newest first; `next_cursor` is null at the end."""

    items: list[HistoryEvent]
    next_cursor: str | None


class AfterEvent(msgspec.Struct):
    """The last event of a page."""

    version: int


TABLE: Final = Table(HistoryEvent, name="subscription-history")

routes = APIRouter(prefix="/v1/accounts/{account_id}/subscription/history", tags=["subscriptions"])


@routes.get(
    "",
    response_model=HistoryPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_ACCOUNT_VIEW, *EVERY_PAGE),
)
async def read_history(
    caller: Payer,
    account_id: OwnAccount,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
) -> Response:
    """Everything that happened to the account's subscriptions, as it was recorded."""
    listing = Listing(sources.cursors, scope_of("subscription_history", account_id), AfterEvent)

    async def read(page: AskedPage) -> HistoryPage:
        after = listing.after(page.cursor)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(HISTORY, account_id, after.version if after else None, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterEvent(row["version"]))
        return HistoryPage(items=[_event(row) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _event(row: asyncpg.Record) -> HistoryEvent:
    return HistoryEvent.model_validate({**row, "data": msgspec.json.decode(row["data"])})
