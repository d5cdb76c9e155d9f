"""What an account may watch now: by its subscription, and title by title what it rented or bought. Computed when
asked, from Postgres tables subscriptions and subscription_purchases.
"""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.clock import utc_now
from infra.entitlement import PURCHASE_USABLE, Status
from query_api.dependencies import EVERY_PAGE, ID_MAX_CHARS, ID_PATTERN, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.subscription import TOPIC
from query_api.subscription.access import EVERY_ACCOUNT_VIEW, OwnAccount, Payer
from query_api.subscription.plans import LIMITS_EXAMPLE, Limits
from query_api.subscription.subscriptions import SUBSCRIPTION, subscription_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

USABLE: Final = f"""
    select purchase_id, title_id, kind, access_from, access_until, start_by, started_at from subscription_purchases
    where account_id = $1 and purchase_id > $2 and ($3::text is null or title_id = $3)
      and {PURCHASE_USABLE.format(now="$4")}
    order by purchase_id limit $5
"""

EXAMPLE: Final = {
    "account_id": "household-1",
    "at": "2026-02-01T20:00:00Z",
    "subscription": {
        "status": "active",
        "access": True,
        "access_until": "2026-03-07T09:30:00Z",
        "plan_id": "standard",
        "limits": LIMITS_EXAMPLE,
    },
    "titles": [
        {
            "title_id": "sintel",
            "purchase_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
            "kind": "rental",
            "access_until": "2026-02-03T19:00:00Z",
            "start_by": "2026-03-01T12:00:00Z",
        }
    ],
    "next_cursor": None,
}


class ByPlan(BaseModel):
    """What the subscription allows now. Without `access` its limits are what they were."""

    status: Status
    access: bool
    access_until: datetime | None
    plan_id: str
    limits: Limits


class ByPurchase(BaseModel):
    """A title that may be played now. `start_by`: of a rental that was not started; its 48 hours count from then."""

    title_id: str
    purchase_id: str
    kind: str
    access_until: datetime | None
    start_by: datetime | None


class Entitlements(BaseModel):
    """What the account may watch at `at`. Titles are by purchase; `next_cursor` leads to more of them."""

    account_id: str
    at: datetime
    subscription: ByPlan | None
    titles: list[ByPurchase]
    next_cursor: str | None


class AfterPurchase(msgspec.Struct):
    """The last purchase of a page."""

    purchase_id: str


TABLE: Final = Table(ByPurchase, name="entitlements", rows="titles")

routes = APIRouter(prefix="/v1/accounts/{account_id}/entitlements", tags=["subscriptions"])


@routes.get(
    "",
    response_model=Entitlements | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_ACCOUNT_VIEW, *EVERY_PAGE),
)
async def read_entitlements(
    caller: Payer,
    account_id: OwnAccount,
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
    title: Annotated[
        str | None,
        Query(max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description="Only this title", examples=["sintel"]),
    ] = None,
) -> Response:
    """What the account may watch now. Another subscription's overdue never takes away what was bought."""
    listing = Listing(sources.cursors, scope_of("entitlements", account_id, title), AfterPurchase)

    async def read(page: AskedPage) -> Entitlements:
        after, now = listing.after(page.cursor), utc_now()
        async with sources.postgres_as(caller) as connection:
            row = await connection.fetchrow(SUBSCRIPTION, account_id)
            place = after.purchase_id if after else ""
            rows = await connection.fetch(USABLE, account_id, place, title, now, page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, lambda one: AfterPurchase(one["purchase_id"]))
        return Entitlements(
            account_id=account_id,
            at=now,
            subscription=_by_plan(row, now) if row else None,
            titles=[ByPurchase.model_validate(dict(one)) for one in shown],
            next_cursor=next_cursor,
        )

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _by_plan(row: asyncpg.Record, now: datetime) -> ByPlan:
    stands = subscription_of(row, now)
    return ByPlan(
        status=stands.status,
        access=stands.access,
        access_until=stands.access_until,
        plan_id=stands.plan.plan_id,
        limits=stands.plan.limits,
    )
