"""Reads of the subscription context without a server: whose they are, their documents, and access as of now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from infra.entitlement import Moments, Status, standing_at
from query_api.subscription import (
    entitlements,
    invoices,
    plans,
    subscription_history,
    subscriptions,
    transactions,
)
from tests.query_api.conftest import signed_in

ACCOUNT_VIEWS = ["subscription", "subscription/history", "entitlements", "invoices", "transactions"]
EXAMPLES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (plans.Plan, plans.EXAMPLE),
    (subscriptions.Subscription, subscriptions.EXAMPLE),
    (entitlements.Entitlements, entitlements.EXAMPLE),
    (invoices.Invoice, invoices.EXAMPLE),
    (transactions.Transaction, transactions.EXAMPLE),
    (subscription_history.HistoryEvent, subscription_history.EXAMPLE),
]
DAY = timedelta(days=1)
END = datetime(2026, 2, 28, tzinfo=UTC)
GRACE, EXPIRY = END + 7 * DAY, END + 37 * DAY


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


@pytest.mark.parametrize(("model", "example"), EXAMPLES)
def test_an_example_is_a_whole_reply(model: type[BaseModel], example: dict[str, Any]) -> None:
    assert model.model_validate(example).model_dump(mode="json") == example


@pytest.mark.parametrize("view", ACCOUNT_VIEWS)
async def test_the_account_of_someone_else_is_refused(viewer: httpx.AsyncClient, view: str) -> None:
    assert slug(await viewer.get(f"/v1/accounts/household-2/{view}")) == (403, "not-your-account")


@pytest.mark.parametrize("view", ACCOUNT_VIEWS)
@pytest.mark.parametrize("role", ["billing", "operator"])
async def test_staff_and_the_account_itself_get_as_far_as_the_store(
    stranger: httpx.AsyncClient, tokens: Tokens, view: str, role: str
) -> None:
    staff = signed_in(stranger, tokens, Principal(subject="staff", roles=(role,)))
    assert slug(await staff.get(f"/v1/accounts/household-1/{view}")) == (503, "store-unavailable")
    viewer = signed_in(stranger, tokens, Principal(subject="v", account_id="household-1", profile_id="p"))
    assert slug(await viewer.get(f"/v1/accounts/household-1/{view}")) == (503, "store-unavailable")


@pytest.mark.parametrize("view", [*ACCOUNT_VIEWS[1:]])
async def test_a_forged_cursor_is_refused(viewer: httpx.AsyncClient, view: str) -> None:
    assert slug(await viewer.get(f"/v1/accounts/household-1/{view}?cursor=AAAA")) == (400, "cursor-invalid")


def running(status: Status, **values: Any) -> Moments:
    return Moments(**{"status": status, "paid_through": END, "grace_until": GRACE, "expires_at": EXPIRY, **values})


@pytest.mark.parametrize(
    ("moments", "at", "status"),
    [
        (running("active"), END - DAY, "active"),
        (running("active"), END, "grace"),  # the renewal is late: nobody loses access by that
        (running("grace"), GRACE - DAY, "grace"),
        (running("active"), GRACE, "past_due"),  # the timer is late: nobody keeps access by that
        (running("grace"), GRACE, "past_due"),
        (running("past_due"), EXPIRY, "expired"),
        (running("trialing"), END - DAY, "trialing"),
        (running("trialing"), END, "grace"),
        (running("canceled", ends_at=END), END - DAY, "canceled"),
        (running("canceled", ends_at=END), END, "expired"),
        (running("paused", paused_at=END - 9 * DAY, resumes_at=END + 9 * DAY), END + 8 * DAY, "paused"),
        (running("paused", paused_at=END - 9 * DAY, resumes_at=END + 9 * DAY), END + 9 * DAY, "active"),
        (running("paused", paused_at=END - 9 * DAY, resumes_at=END + 9 * DAY), END + 18 * DAY, "grace"),
        (Moments(status="pending", pending_until=END), END - DAY, "pending"),
        (Moments(status="pending", pending_until=END), END, "expired"),
        (running("expired"), END - DAY, "expired"),
    ],
)
def test_how_a_subscription_stands_depends_on_the_time_alone(moments: Moments, at: datetime, status: Status) -> None:
    assert standing_at(moments, at).status == status


def test_access_lasts_through_the_grace_unless_it_was_canceled() -> None:
    assert standing_at(running("active"), END - DAY).access_until == GRACE
    assert standing_at(running("canceled", ends_at=END), END - DAY).access_until == END
    assert standing_at(running("past_due"), GRACE).access_until is None
