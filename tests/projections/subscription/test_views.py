"""The subscription context's views: what an account's life comes to as rows."""

from datetime import timedelta
from typing import Any

import pytest

from commands.subscription import commands as c
from events.envelope import Envelope, Event
from projections.subscription.invoices import Invoices
from projections.subscription.plans import Plans
from projections.subscription.purchases import Purchases
from projections.subscription.subscription_due import SubscriptionsDue
from projections.subscription.subscription_history import SubscriptionHistory
from projections.subscription.subscriptions import Subscriptions
from projections.subscription.transactions import Transactions
from tests.builders import recorded
from tests.commands.subscription.accounts import (
    BASIC,
    DAY,
    DECLINE,
    FEB,
    FIVE,
    PAY,
    T0,
    TRIED,
    Step,
    sign_up,
)
from tests.projections.subscription.histories import A_LIFE, A_RENTAL, HISTORY, of_account, of_plan

LATER = timedelta(hours=1)


def rows(view: Any, history: list[Envelope[Event]]) -> dict[str, Any]:
    """The rows of a view by key."""
    found: dict[str, Any] = {}
    for event in map(recorded, history):
        if type(event.data) in view.events:
            key = view.key(event)
            found[key] = view.project(found.get(key), event)
    return {key: row for key, row in found.items() if row is not None}


def subscription(*steps: Step) -> Any:
    return rows(Subscriptions(), of_account(*steps))["a1"]


def due(*steps: Step) -> tuple[Any, Any]:
    row = rows(SubscriptionsDue(), of_account(*steps))["subscription.account-a1"]
    return row.what, row.due_at


def test_a_plan_is_in_its_newest_version_until_it_is_retired() -> None:
    versions = [rows(Plans(), of_plan()[:count])["standard"] for count in (1, 2, 3)]
    assert [(row.version, row.trial_days, row.on_sale) for row in versions] == [
        (1, 0, True),
        (2, 14, True),
        (2, 14, False),
    ]
    assert {row.defined_at for row in versions} == {T0}


def test_a_subscription_is_what_its_last_event_made_of_it() -> None:
    begun = ((sign_up(), T0), (PAY, T0))
    assert subscription(begun[0]).status == "pending"
    active = subscription(*begun)
    assert (active.status, active.paid_through, active.period_number) == ("active", FEB, 1)
    overdue = subscription(*begun, (c.Renew(number=2), FEB), (DECLINE, FEB))
    assert (overdue.status, overdue.paid_through, overdue.grace_until) == ("grace", FEB, FEB + 7 * DAY)
    changing = subscription(*begun, (c.ChangePlan(plan=BASIC, period="month"), T0 + LATER))
    assert changing.scheduled_terms.name == "Basic"
    couponed = subscription(*begun, (c.ApplyCoupon(coupon=FIVE), T0 + LATER))
    assert couponed.coupon == FIVE
    canceled = subscription(*begun, (c.Cancel(reason="moving"), T0 + LATER))
    assert (canceled.status, canceled.ends_at, canceled.ended_reason) == ("canceled", FEB, "moving")


@pytest.mark.parametrize(
    ("steps", "what", "at"),
    [
        (((sign_up(TRIED), T0),), "renew", T0 + 14 * DAY),
        (((sign_up(), T0), (PAY, T0)), "renew", FEB),
        (((sign_up(), T0), (PAY, T0), (c.Pause(until=T0 + 3 * DAY), T0 + DAY)), "resume", T0 + 3 * DAY),
        (((sign_up(), T0), (PAY, T0), (c.Cancel(), T0 + DAY)), "expire", FEB),
        (((sign_up(), T0), (PAY, T0), (c.Renew(number=2), FEB), (DECLINE, FEB)), "retry", FEB + DAY),
        (((sign_up(), T0), (PAY, T0), (c.Cancel(immediately=True), T0 + DAY)), None, None),
    ],
)
def test_what_falls_due_next(steps: tuple[Step, ...], what: str | None, at: object) -> None:
    assert due(*steps) == (what, at)


def test_a_payment_that_was_asked_for_is_due_at_once() -> None:
    assert due((sign_up(), T0)) == ("charge account-a1.1", T0)


def test_the_renewal_stays_due_when_an_upgrade_is_declined() -> None:
    steps = ((sign_up(BASIC), T0), (PAY, T0), (c.ChangePlan(plan=TRIED, period="month"), T0 + DAY), (DECLINE, T0 + DAY))
    assert due(*steps) == ("renew", FEB)


def test_invoices_say_how_they_went() -> None:
    found = rows(Invoices(), A_LIFE)
    assert {key.rpartition(".")[2]: row.status for key, row in found.items()} == {
        "1": "paid",
        "2": "void",
        "3": "paid",
        "4": "paid",
    }
    assert (found["account-a1.2"].failure_code, found["account-a1.4"].attempts) == ("insufficient_funds", 3)
    assert found["account-a1.1"].refunded_minor == 0  # the refund failed
    assert rows(Invoices(), A_RENTAL)["purchase-p1.1"].refunded_minor == 399


def test_transactions_are_charges_and_refunds_each_once() -> None:
    found = rows(Transactions(), [*A_LIFE, *A_RENTAL])
    kinds = sorted((row.kind, row.status) for row in found.values())
    assert kinds.count(("charge", "failed")) == 3
    assert kinds.count(("charge", "succeeded")) == 4
    assert kinds.count(("refund", "failed")) == kinds.count(("refund", "succeeded")) == 1
    assert all((row.amount_minor is None) == (row.code is not None) for row in found.values() if row.kind == "charge")


def test_a_rental_that_was_given_back_is_revoked() -> None:
    [row] = rows(Purchases(), A_RENTAL).values()
    assert (row.status, row.revoked_reason, row.price_minor) == ("revoked", "refunded", 399)
    [played] = rows(Purchases(), A_RENTAL[:6]).values()
    assert (played.status, played.access_until) == ("granted", T0 + 3 * DAY)


def test_the_history_is_the_accounts_stream_and_no_other() -> None:
    found = rows(SubscriptionHistory(), HISTORY)
    assert [row.version for row in found.values()] == list(range(1, len(A_LIFE) + 1))
    assert {row.account_id for row in found.values()} == {"a1"}
