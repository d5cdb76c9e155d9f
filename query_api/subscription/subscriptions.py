"""An account's subscription, as it is at the time of asking. Postgres table subscriptions."""

from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, Field

from infra.clock import utc_now
from infra.entitlement import Moments, Status, standing_at
from infra.http.openapi import replies
from infra.http.problems import ProblemKind, Refusal
from query_api.dependencies import From, Positions
from query_api.subscription import TOPIC
from query_api.subscription.access import EVERY_ACCOUNT_VIEW, OwnAccount, Payer
from query_api.subscription.plans import LIMITS_EXAMPLE, MONEY_EXAMPLE, Limits, Money


class SubscriptionUnknown(Refusal):
    """The account never subscribed, as far as the view knows."""


SUBSCRIPTION_UNKNOWN = ProblemKind(404, "subscription-unknown", "The account never subscribed")
SUBSCRIPTION: Final = "select * from subscriptions where account_id = $1"

TERMS_EXAMPLE: Final = {
    "plan_id": "standard",
    "version": 1,
    "name": "Standard",
    "period": "month",
    "price": MONEY_EXAMPLE,
    "limits": LIMITS_EXAMPLE,
}
EXAMPLE: Final = {
    "account_id": "household-1",
    "subscription_id": "01992d9e-7c1a-7c3e-9d1b-5f0c6a1b2c3d",
    "status": "active",
    "access": True,
    "access_until": "2026-03-07T09:30:00Z",
    "plan": TERMS_EXAMPLE,
    "scheduled_plan": None,
    "time_zone": "Europe/Amsterdam",
    "started_at": "2026-01-31T09:30:00Z",
    "period_number": 1,
    "period_starts_at": "2026-01-31T09:30:00Z",
    "paid_through": "2026-02-28T09:30:00Z",
    "resumes_at": None,
    "ends_at": None,
    "coupon": None,
    "ended_reason": None,
}


class Terms(BaseModel):
    """A plan as it was signed up to."""

    plan_id: str
    version: int
    name: str
    period: str
    price: Money
    limits: Limits


class Subscription(BaseModel):
    """An account's latest subscription. `access_until`: if nothing more is paid. `paid_through`: a trial's end too."""

    account_id: str
    subscription_id: str
    status: Status
    access: bool
    access_until: datetime | None
    plan: Terms
    scheduled_plan: Terms | None
    time_zone: str
    started_at: datetime
    period_number: int | None = Field(description="0: the trial")
    period_starts_at: datetime | None
    paid_through: datetime | None
    resumes_at: datetime | None
    ends_at: datetime | None
    coupon: str | None
    ended_reason: str | None


routes = APIRouter(prefix="/v1/accounts/{account_id}/subscription", tags=["subscriptions"])


@routes.get("", responses=replies(EXAMPLE, *EVERY_ACCOUNT_VIEW, SUBSCRIPTION_UNKNOWN))
async def read_subscription(caller: Payer, account_id: OwnAccount, sources: From, positions: Positions) -> Subscription:
    """The account's subscription: its plan, how it stands now, and until when."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        row = await connection.fetchrow(SUBSCRIPTION, account_id)
    if row is None:
        raise SubscriptionUnknown(f"Account {account_id!r} never subscribed.")
    return subscription_of(row, utc_now())


def subscription_of(row: asyncpg.Record, now: datetime) -> Subscription:
    """A row as it stands at a time."""
    standing = standing_at(Moments.of(row), now)
    coupon: dict[str, Any] | None = msgspec.json.decode(row["coupon"])
    return Subscription.model_validate(
        {
            **row,
            "status": standing.status,
            "access": standing.access,
            "access_until": standing.access_until,
            "paid_through": standing.moments.paid_through,
            "plan": msgspec.json.decode(row["terms"]),
            "scheduled_plan": msgspec.json.decode(row["scheduled_terms"]),
            "coupon": coupon["code"] if coupon else None,
        }
    )
