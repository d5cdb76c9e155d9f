"""Every command in every state: what is recorded, what is ignored, and what is refused by which name.

A command or a state that is missing from the table fails.
"""

from datetime import timedelta
from typing import Any, Final, get_args

import pytest

from commands.subscription import commands as c
from commands.subscription import refusals as r
from commands.subscription.state import Status
from events.refusals import Refusal
from events.types import SubscriptionId
from tests.commands.subscription.accounts import (
    ACCOUNTS,
    FIVE,
    PREMIUM,
    account,
    euros,
    invoice,
    names,
    sign_up,
    state_of,
)

IGNORED: Final[list[str]] = []
Ending = list[str] | type[Refusal]

UNKNOWN, NO_INVOICE = r.SubscriptionUnknown, r.InvoiceUnknown

STARTED: Final = ["SubscriptionStarted", "InvoiceIssued", "PaymentRequested"]
ASKED_AGAIN: Final = ["PaymentRequested"]
NOW: Final = ["SubscriptionCanceled", "SubscriptionExpired"]
OWING: Final = ["SubscriptionCanceled", "InvoiceVoided", "SubscriptionExpired"]

COMMANDS: Final[dict[str, Any]] = {
    "StartSubscription": sign_up(subscription_id=SubscriptionId("s2")),
    "Renew": c.Renew(number=2),
    "RetryPayment": c.RetryPayment(invoice_id=invoice(2), attempt=2),
    "Recover": c.Recover(),
    "EnterPastDue": c.EnterPastDue(),
    "Expire": c.Expire(),
    "Pause": c.Pause(),
    "Resume": c.Resume(),
    "ChangePlan": c.ChangePlan(plan=PREMIUM, period="month"),
    "Cancel": c.Cancel(),
    "Cancel immediately": c.Cancel(immediately=True),
    "Uncancel": c.Uncancel(),
    "ApplyCoupon": c.ApplyCoupon(coupon=FIVE),
    "RecordPaymentSucceeded": c.RecordPaymentSucceeded(invoice_id=invoice(1), charge_id="new", amount=euros(999)),
    "RecordPaymentFailed": c.RecordPaymentFailed(invoice_id=invoice(1), code="expired_card", charge_id="new"),
    "RequestRefund": c.RequestRefund(invoice_id=invoice(1)),
    "RecordRefund": c.RecordRefund(
        invoice_id=invoice(1), provider_refund_id="re-1", outcome="succeeded", charge_id="ch-1", amount=euros(999)
    ),
}

STATES: Final[tuple[Status, ...]] = get_args(Status)


def row(**endings: Ending) -> dict[str, Ending]:
    """What a command leads to in each state."""
    assert set(endings) == set(STATES)
    return dict(endings)


def money(pending: Ending, *, unowed: Ending, trialing: Ending = NO_INVOICE) -> dict[str, Ending]:
    """What a command about the first invoice leads to: it is open while pending, and paid in all states after it."""
    paid = dict.fromkeys(("active", "grace", "past_due", "paused", "canceled", "expired"), unowed)
    return row(none=NO_INVOICE, pending=pending, trialing=trialing, **paid)


PAID_TWICE: Final = ["PaymentSucceeded", "RefundRequested"]

TABLE: Final[dict[str, dict[str, Ending]]] = {
    "StartSubscription": row(
        none=STARTED,
        pending=r.AlreadySubscribed,
        trialing=r.AlreadySubscribed,
        active=r.AlreadySubscribed,
        grace=r.AlreadySubscribed,
        past_due=["InvoiceVoided", "SubscriptionExpired", *STARTED],
        paused=r.AlreadySubscribed,
        canceled=r.AlreadySubscribed,
        expired=STARTED,
    ),
    "Renew": row(
        none=UNKNOWN,
        pending=r.NotRenewable,
        trialing=r.NotDueYet,
        active=r.NotDueYet,
        grace=IGNORED,
        past_due=IGNORED,
        paused=r.NotRenewable,
        canceled=r.NotRenewable,
        expired=r.NotRenewable,
    ),
    "RetryPayment": row(
        none=NO_INVOICE,
        pending=NO_INVOICE,
        trialing=NO_INVOICE,
        active=NO_INVOICE,
        grace=ASKED_AGAIN,
        past_due=r.NotRecoverable,
        paused=NO_INVOICE,
        canceled=NO_INVOICE,
        expired=NO_INVOICE,
    ),
    "Recover": row(
        none=UNKNOWN,
        pending=r.NotRecoverable,
        trialing=IGNORED,
        active=IGNORED,
        grace=ASKED_AGAIN,
        past_due=ASKED_AGAIN,
        paused=r.NotRecoverable,
        canceled=r.NotRecoverable,
        expired=r.NotRecoverable,
    ),
    "EnterPastDue": row(
        none=UNKNOWN,
        pending=r.NotDueYet,
        trialing=r.NotDueYet,
        active=r.NotDueYet,
        grace=r.NotDueYet,
        past_due=IGNORED,
        paused=r.NotDueYet,
        canceled=r.NotDueYet,
        expired=IGNORED,
    ),
    "Expire": row(
        none=UNKNOWN,
        pending=r.NotDueYet,
        trialing=r.NotDueYet,
        active=r.NotDueYet,
        grace=r.NotDueYet,
        past_due=r.NotDueYet,
        paused=r.NotDueYet,
        canceled=r.NotDueYet,
        expired=IGNORED,
    ),
    "Pause": row(
        none=UNKNOWN,
        pending=r.NotPausable,
        trialing=r.NotPausable,
        active=["SubscriptionPaused"],
        grace=r.NotPausable,
        past_due=r.NotPausable,
        paused=IGNORED,
        canceled=r.NotPausable,
        expired=r.NotPausable,
    ),
    "Resume": row(
        none=UNKNOWN,
        pending=r.NotResumable,
        trialing=r.NotResumable,
        active=IGNORED,
        grace=r.NotResumable,
        past_due=r.NotResumable,
        paused=["SubscriptionResumed"],
        canceled=r.NotResumable,
        expired=r.NotResumable,
    ),
    "ChangePlan": row(
        none=UNKNOWN,
        pending=r.PlanNotChangeable,
        trialing=["PlanChanged"],
        active=["PlanChangeRequested", "InvoiceIssued", "PaymentRequested"],
        grace=r.PlanNotChangeable,
        past_due=r.PlanNotChangeable,
        paused=r.PlanNotChangeable,
        canceled=r.PlanNotChangeable,
        expired=r.PlanNotChangeable,
    ),
    "Cancel": row(
        none=UNKNOWN,
        pending=OWING,
        trialing=["SubscriptionCanceled"],
        active=["SubscriptionCanceled"],
        grace=OWING,
        past_due=OWING,
        paused=["SubscriptionResumed", "SubscriptionCanceled"],
        canceled=IGNORED,
        expired=IGNORED,
    ),
    "Cancel immediately": row(
        none=UNKNOWN,
        pending=OWING,
        trialing=NOW,
        active=NOW,
        grace=OWING,
        past_due=OWING,
        paused=["SubscriptionResumed", *NOW],
        canceled=NOW,
        expired=IGNORED,
    ),
    "Uncancel": row(
        none=UNKNOWN,
        pending=r.NotUncancelable,
        trialing=IGNORED,
        active=IGNORED,
        grace=r.NotUncancelable,
        past_due=r.NotUncancelable,
        paused=r.NotUncancelable,
        canceled=["SubscriptionUncanceled"],
        expired=r.NotUncancelable,
    ),
    "ApplyCoupon": row(
        none=UNKNOWN,
        pending=r.CouponNotApplicable,
        trialing=["CouponApplied"],
        active=["CouponApplied"],
        grace=["CouponApplied"],
        past_due=["CouponApplied"],
        paused=["CouponApplied"],
        canceled=r.CouponNotApplicable,
        expired=r.CouponNotApplicable,
    ),
    "RecordPaymentSucceeded": money(["PaymentSucceeded", "SubscriptionActivated"], unowed=PAID_TWICE),
    "RecordPaymentFailed": money(["PaymentFailed", "InvoiceVoided", "SubscriptionExpired"], unowed=IGNORED),
    "RequestRefund": money(r.NotRefundable, unowed=["RefundRequested"]),
    "RecordRefund": money(r.RefundUnknown, unowed=r.RefundUnknown),
}

ENDINGS: Final = [(state, name, ending) for name, endings in TABLE.items() for state, ending in endings.items()]


@pytest.mark.parametrize(
    ("state", "name", "ending"), ENDINGS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_in_a_state(state: Status, name: str, ending: Ending) -> None:
    history, now = ACCOUNTS[state]
    decided = account.given(*history).when(COMMANDS[name], now=now)
    if isinstance(ending, list):
        assert names(decided.decided()) == ending
    else:
        decided.refused(ending)


def test_no_command_and_no_state_is_missing() -> None:
    assert {type(command) for command in COMMANDS.values()} == set(get_args(c.SubscriptionCommand))
    assert TABLE.keys() == COMMANDS.keys()
    assert ACCOUNTS.keys() == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_an_account_is_in_the_state_that_it_is_listed_under(state: Status) -> None:
    history, _ = ACCOUNTS[state]
    assert state_of(history).status == state


RECORDED: Final = [(state, name) for state, name, ending in ENDINGS if isinstance(ending, list) and ending]
REPEATABLE: Final = {"ApplyCoupon": r.CouponAlreadyRedeemed, "RequestRefund": r.NotRefundable}


@pytest.mark.parametrize(("state", "name"), RECORDED)
def test_a_command_given_twice_is_recorded_once(state: Status, name: str) -> None:
    history, now = ACCOUNTS[state]
    command = COMMANDS[name]
    once = account.given(*history).when(command, now=now).decided()
    again = account.given(*history, *once).when(command, now=now + timedelta(seconds=1))
    if name in REPEATABLE:
        again.refused(REPEATABLE[name])
    else:
        again.ignored()
