"""Subscriptions on real servers: HTTP to the log, Kafka, the views and back, with money over HTTP in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clock import utc_now
from infra.ids import new_id
from infra.payments.rules import Rule
from infra.settings import Settings
from tests.integration.projection_workers import eventually
from tests.integration.subscription_stack import DAY, STAFF, BillingProcess, Stack, running_stack, viewer

pytestmark = pytest.mark.integration

LIMITS = {"streams": 2, "max_resolution": "1080p", "profiles": 5, "downloads": 10, "ads": False, "devices": 8}


@pytest.fixture(scope="module")
async def running(live: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(live, Path(tmp_path_factory.mktemp("subscriptions"))) as stack:
        yield stack


@pytest.fixture
async def stack(running: Stack) -> Stack:
    """With a well-behaved provider and the real time."""
    running.now = None
    await running.director.rule()
    return running


@pytest.fixture
def me() -> str:
    return f"a{new_id()[-12:]}"


async def plan(stack: Stack, cents: int, trial_days: int = 0) -> str:
    """A plan at a price a month, and ten times that a year."""
    plan_id = f"p{new_id()[-12:]}"
    prices = [
        {"period": period, "price": {"amount_minor": times * cents, "currency": "EUR"}}
        for period, times in (("month", 1), ("year", 10))
    ]
    body = {"plan_id": plan_id, "name": plan_id, "prices": prices, "trial_days": trial_days, "limits": LIMITS}
    (await stack.post("/v1/plans", body, STAFF)).raise_for_status()
    return plan_id


def subscribe_to(plan_id: str, **values: Any) -> dict[str, Any]:
    return {"plan_id": plan_id, "period": "month", "currency": "EUR", "time_zone": "Europe/Amsterdam", **values}


async def subscribed(stack: Stack, me: str, cents: int = 999) -> str:
    """An account whose first period is paid; its plan."""
    plan_id = await plan(stack, cents)
    (await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(me))).raise_for_status()
    await stack.bill()
    return plan_id


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


async def test_a_subscription_from_the_first_request_to_the_last_page(stack: Stack, me: str) -> None:
    plan_id = await plan(stack, 999)
    started = await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(me), key="first")
    assert (started.status_code, started.json()["events"][0]) == (201, "SubscriptionStarted")
    account = f"/v1/accounts/{me}"
    pending = (await stack.get(f"{account}/subscription", viewer(me))).json()
    assert (pending["status"], pending["access"]) == ("pending", False)

    await stack.bill()
    active = (await stack.get(f"{account}/subscription", viewer(me))).json()
    assert (active["status"], active["access"], active["plan"]["name"]) == ("active", True, plan_id)
    entitled = (await stack.get(f"{account}/entitlements", viewer(me))).json()
    assert entitled["subscription"]["access"] and entitled["subscription"]["limits"] == LIMITS
    assert entitled["titles"] == []

    again = await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(me), key="first")
    assert (again.json(), again.headers["playhead-position"]) == (
        started.json(),
        started.headers["playhead-position"],
    )
    second = await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(me))
    assert problem(second) == (409, "already-subscribed")
    canceled = await stack.post(f"/v1/subscriptions/{me}/cancel", {"reason": "moving"}, viewer(me))
    assert canceled.json()["events"] == ["SubscriptionCanceled"]
    leaving = (await stack.get(f"{account}/subscription", viewer(me))).json()
    assert (leaving["status"], leaving["access"], leaving["ended_reason"]) == ("canceled", True, "moving")
    (await stack.post(f"/v1/subscriptions/{me}/uncancel", {}, viewer(me))).raise_for_status()

    [invoice] = await stack.items(f"{account}/invoices", viewer(me))
    assert (invoice["status"], invoice["total_minor"], invoice["paid_minor"]) == ("paid", 999, 999)
    [charge] = await stack.items(f"{account}/transactions", viewer(me))
    assert (charge["kind"], charge["status"], charge["amount_minor"]) == ("charge", "succeeded", 999)
    events = await stack.items(f"{account}/subscription/history", viewer(me))
    assert [event["version"] for event in events] == list(range(len(events), 0, -1))
    assert events[0]["type"] == "SubscriptionUncanceled"
    assert events[0]["principal"] == viewer(me).subject


async def test_what_is_not_allowed_is_refused_by_name(stack: Stack, me: str) -> None:
    plan_id = await plan(stack, 999)
    body = subscribe_to(plan_id)
    stranger = viewer("somebody")
    unkeyed = await stack.commands.post(
        "/v1/subscriptions", json=body, headers={"Authorization": f"Bearer {stack.tokens.mint_access(viewer(me))}"}
    )
    assert problem(unkeyed) == (400, "idempotency-key-missing")
    of_others = await stack.post("/v1/subscriptions", {**body, "account_id": me}, stranger)
    assert problem(of_others) == (403, "not-your-account")
    assert problem(await stack.post(f"/v1/subscriptions/{me}/cancel", {}, stranger)) == (403, "not-your-account")
    assert problem(await stack.post(f"/v1/subscriptions/{me}/cancel", {}, viewer(me))) == (404, "subscription-unknown")
    assert problem(await stack.post("/v1/plans", {"plan_id": "x"}, viewer(me))) == (403, "scope-missing")
    for change, refusal in (
        ({"plan_id": "no-such"}, (404, "plan-unknown")),
        ({"currency": "USD"}, (409, "price-unknown")),
        ({"time_zone": "Mars/Base"}, (422, "time-zone-unknown")),
        ({"coupon": "NONE"}, (404, "coupon-unknown")),
        ({"period": "week"}, (422, "invalid-request")),
    ):
        assert problem(await stack.post("/v1/subscriptions", body | change, viewer(me))) == refusal
    (await stack.post(f"/v1/plans/{plan_id}/retire", {}, STAFF)).raise_for_status()
    assert problem(await stack.post("/v1/subscriptions", body, viewer(me))) == (409, "plan-not-on-sale")


async def test_a_coupons_limit_is_exact_under_accounts_that_come_at_once(stack: Stack) -> None:
    plan_id, code = await plan(stack, 999), f"C{new_id()[-10:]}"
    coupon = {
        "code": code,
        "percent": 50,
        "periods": 1,
        "valid_from": "2026-01-01T00:00:00Z",
        "valid_until": "2036-01-01T00:00:00Z",
        "most_redemptions": 5,
    }
    (await stack.post("/v1/coupons", coupon, STAFF)).raise_for_status()
    accounts = [f"c{number}-{new_id()[-10:]}" for number in range(14)]
    replies = await asyncio.gather(
        *(stack.post("/v1/subscriptions", subscribe_to(plan_id, coupon=code), viewer(one)) for one in accounts)
    )
    assert sorted(reply.status_code for reply in replies) == [201] * 5 + [409] * 9
    assert {problem(reply) for reply in replies if reply.status_code == 409} == {(409, "coupon-exhausted")}
    subscribers = await stack.pool.fetchval(
        "select count(*) from event_log where type = 'subscription.SubscriptionStarted.v1' and stream_id = any($1)",
        [f"subscription.account-{one}" for one in accounts],
    )
    assert subscribers == 5  # who got no redemption did not get half a subscription either


async def test_a_rental_is_paid_played_and_given_back_beside_an_overdue_subscription(stack: Stack, me: str) -> None:
    stack.now = utc_now() - 40 * DAY
    await subscribed(stack, me)
    stack.now = None
    await stack.director.rule(Rule(decline_code="insufficient_funds", account_id=me))
    await stack.bill()
    await stack.director.rule()
    offer_id = f"o{new_id()[-12:]}"
    price = {"amount_minor": 399, "currency": "EUR"}
    offer = {"offer_id": offer_id, "kind": "rental", "title_id": "heat", "title_name": "Heat", "prices": [price]}
    (await stack.post("/v1/offers", offer, STAFF)).raise_for_status()
    bought = await stack.post("/v1/purchases", {"offer_id": offer_id, "currency": "EUR"}, viewer(me))
    purchase_id = bought.json()["id"]
    await stack.bill()

    entitled = (await stack.get(f"/v1/accounts/{me}/entitlements?title=heat", viewer(me))).json()
    assert [title["purchase_id"] for title in entitled["titles"]] == [purchase_id]
    assert (entitled["subscription"]["status"], entitled["subscription"]["access"]) == ("past_due", False)
    start = f"/v1/purchases/{purchase_id}/start"
    assert problem(await stack.post(start, {}, viewer("somebody"))) == (403, "not-your-account")
    assert (await stack.post(start, {}, viewer(me))).json()["events"] == ["RentalStarted"]
    assert (await stack.post(start, {}, viewer(me))).json()["events"] == []

    refund = await stack.post(f"/v1/invoices/purchase-{purchase_id}.1/refunds", {"note": "did not play"}, STAFF)
    assert refund.status_code == 202
    await stack.bill()
    entitled = (await stack.get(f"/v1/accounts/{me}/entitlements", viewer(me))).json()
    assert entitled["titles"] == []


async def test_webhooks_that_come_twice_late_and_in_any_order_count_once(stack: Stack) -> None:
    await stack.director.rule(Rule(on="any", delay_ms=20, webhook_copies=3, webhook_reorder=True))
    plan_id, accounts = await plan(stack, 999), [f"w{new_id()[-12:]}" for _ in range(4)]
    for one in accounts:
        (await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(one))).raise_for_status()
    await stack.bill()
    await stack.director.until_delivered()
    await stack.projected()
    for one in accounts:
        assert (await stack.get(f"/v1/accounts/{one}/subscription", viewer(one))).json()["status"] == "active"
        transactions = await stack.items(f"/v1/accounts/{one}/transactions", viewer(one))
        assert [row["amount_minor"] for row in transactions] == [999]


async def test_processes_that_are_killed_and_started_again_charge_once(stack: Stack, tmp_path: Path) -> None:
    plan_id, accounts = await plan(stack, 999), [f"k{number}-{new_id()[-10:]}" for number in range(40)]
    await stack.director.rule(Rule(share=0.3, lose_reply="drop"), Rule(share=0.3, webhook_copies=0))
    processes = [BillingProcess(stack.settings, tmp_path) for _ in range(2)]
    try:
        for one in accounts:
            (await stack.post("/v1/subscriptions", subscribe_to(plan_id), viewer(one))).raise_for_status()
            if accounts.index(one) % 10 == 9:
                processes.pop(0).kill()
                processes.append(BillingProcess(stack.settings, tmp_path))
        await eventually(processes[-1].ready)
        await eventually(lambda: _all_active(stack, accounts))
        assert [process.terminate() for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    books = await stack.director.books()
    keys = [row.charge.reference for row in books.charges if row.charge.reference.split("-", 1)[1][:-2] in accounts]
    assert sorted(keys) == sorted(f"account-{one}.1" for one in accounts)


async def _all_active(stack: Stack, accounts: list[str]) -> bool:
    active = await stack.pool.fetchval(
        "select count(*) from subscriptions where account_id = any($1) and status = 'active'", accounts
    )
    return bool(active == len(accounts))


async def test_two_years_of_a_subscriber_with_declines_and_plan_changes(stack: Stack, me: str) -> None:
    """Two years up to today: at each moment at which something falls due, two renewal processes run at once."""
    stack.now = utc_now() - timedelta(days=730)
    basic, premium = await plan(stack, 599, trial_days=14), await plan(stack, 1_599)
    (await stack.post("/v1/subscriptions", subscribe_to(basic), viewer(me))).raise_for_status()
    until = utc_now()
    changes = [
        (stack.now + 100 * DAY, "change-plan", {"plan_id": premium}),
        (stack.now + 300 * DAY, "change-plan", {"plan_id": basic}),
        (stack.now + 400 * DAY, "pause", {"until": (stack.now + 430 * DAY).isoformat()}),
        (stack.now + 500 * DAY, "change-plan", {"plan_id": premium, "period": "year"}),
    ]
    # Two charges fail after the start and after each change: within the grace, and never the one that a change waits
    # for.
    twice_declined = Rule(account_id=me, decline_code="insufficient_funds", times=2)
    await stack.director.rule(twice_declined, seed=3)
    while (due := await _next_due(stack, me)) is not None and due < until:
        if changes and changes[0][0] <= due:
            at, what, body = changes.pop(0)
            stack.now = max(at, stack.now)
            reply = await stack.post(f"/v1/subscriptions/{me}/{what}", body, viewer(me))
            assert reply.status_code == 200, reply.text
            await asyncio.gather(stack.bill(), stack.bill())
            await stack.director.rule(twice_declined, seed=3)
        else:
            stack.now = max(due, stack.now)
            await asyncio.gather(stack.bill(), stack.bill())
    assert changes == []

    account = f"/v1/accounts/{me}"
    now = (await stack.get(f"{account}/subscription", viewer(me))).json()
    assert (now["status"], now["access"], now["plan"]["name"]) == ("active", True, premium)
    invoices = await stack.items(f"{account}/invoices", viewer(me))
    paid = [invoice for invoice in invoices if invoice["status"] == "paid"]
    assert len(paid) > 15
    assert all(invoice["paid_minor"] == invoice["total_minor"] for invoice in paid)
    transactions = await stack.items(f"{account}/transactions", viewer(me))
    taken = sum(row["amount_minor"] for row in transactions if row["status"] == "succeeded")
    assert taken == sum(invoice["total_minor"] for invoice in paid)
    assert {row["status"] for row in transactions} == {"succeeded", "failed"}
    books = await stack.director.books()
    mine = [row.charge for row in books.charges if row.charge.reference.startswith(f"account-{me}.")]
    assert taken == sum(charge.amount.amount_minor for charge in mine if charge.status == "succeeded")


async def _next_due(stack: Stack, account_id: str) -> datetime | None:
    await stack.projected()
    due: datetime | None = await stack.pool.fetchval(
        "select due_at from subscription_due where stream_id = $1", f"subscription.account-{account_id}"
    )
    return due
