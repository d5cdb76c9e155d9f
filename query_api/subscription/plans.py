"""Plans on sale, for everyone. Postgres table subscription_plans."""

from datetime import datetime
from typing import Annotated, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.access.authentication import Needs
from infra.access.permissions import Scope
from query_api.caching.declared import Kept, kept
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.subscription import TOPIC
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

PLANS: Final = """
    select * from subscription_plans where (on_sale or $1) and plan_id > $2 order by plan_id limit $3
"""

MONEY_EXAMPLE: Final = {"amount_minor": 1090, "currency": "EUR"}
LIMITS_EXAMPLE: Final = {
    "streams": 2,
    "max_resolution": "1080p",
    "profiles": 5,
    "downloads": 10,
    "ads": False,
    "devices": 10,
}
EXAMPLE: Final = {
    "plan_id": "standard",
    "version": 1,
    "name": "Standard",
    "prices": [{"period": "month", "price": MONEY_EXAMPLE}],
    "trial_days": 14,
    "limits": LIMITS_EXAMPLE,
    "on_sale": True,
    "revised_at": "2026-01-01T09:00:00Z",
}


class Money(BaseModel):
    """An amount in the minor units of its currency (ISO 4217): EUR 10.90 is 1090, KRW 13500 is 13500."""

    amount_minor: int
    currency: str


class Price(BaseModel):
    """What a plan costs for a period, in one currency."""

    period: str
    price: Money


class Limits(BaseModel):
    """What a plan allows. `devices`: that may be signed in; a plan of before there was a limit has 10."""

    streams: int
    max_resolution: str
    profiles: int
    downloads: int
    ads: bool
    devices: int = 10


class Plan(BaseModel):
    """The newest version of a plan; who subscribed to an older one keeps it."""

    plan_id: str
    version: int
    name: str
    prices: list[Price]
    trial_days: int
    limits: Limits
    on_sale: bool
    revised_at: datetime


class PlanPage(BaseModel):
    """Plans by id; `next_cursor` is null at the end."""

    items: list[Plan]
    next_cursor: str | None


class AfterPlan(msgspec.Struct):
    """The last plan of a page."""

    plan_id: str


TABLE: Final = Table(Plan, name="plans")

routes = APIRouter(
    prefix="/v1/plans", tags=["subscriptions"], dependencies=[Depends(Needs(Scope.CATALOG_READ, Scope.BILLING_READ))]
)


@routes.get(
    "",
    response_model=PlanPage | Projected,
    responses=TABLE.replies({"items": [EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE),
)
@kept(Kept((TOPIC,), shared=True))
async def read_plans(
    sources: From,
    asked: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
    retired: Annotated[bool, Query(description="Also plans that are not sold any more", examples=[True])] = False,
) -> Response:
    """The plans that can be subscribed to, each in its newest version."""
    listing = Listing(sources.cursors, scope_of("plans", retired), AfterPlan)

    async def read(page: AskedPage) -> PlanPage:
        after = listing.after(page.cursor)
        async with sources.postgres.use() as pool:
            rows = await pool.fetch(PLANS, retired, after.plan_id if after else "", page.limit + 1)
        shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterPlan(row["plan_id"]))
        return PlanPage(items=[_plan(row) for row in shown], next_cursor=next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await asked.read(read)


def _plan(row: asyncpg.Record) -> Plan:
    return Plan.model_validate({**row, **{name: msgspec.json.decode(row[name]) for name in ("prices", "limits")}})
