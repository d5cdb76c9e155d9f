"""Accounts in every state, as commands bring them there, for tests of what is allowed next."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from commands.subscription import commands as c
from commands.subscription.decider import subscription_decider
from commands.subscription.policy import Policy
from commands.subscription.state import Status, SubscriptionState
from events.envelope import Event
from events.subscription import (
    BillingPeriod,
    CouponTerms,
    InvoiceIssued,
    PaymentRequested,
    PlanLimits,
    PlanPrice,
    PlanVersion,
)
from events.types import AccountId, CouponCode, InvoiceId, Money, PlanId, SubscriptionId
from tests.spec import Spec

POLICY: Final = Policy()
SUBSCRIPTION: Final = subscription_decider(POLICY)
account: Final = Spec(SUBSCRIPTION)

T0: Final = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FEB: Final = datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
"""When the period that began at T0 ends."""
DAY: Final = timedelta(days=1)
ME: Final = AccountId("a1")


def euros(cents: int) -> Money:
    return Money(cents, "EUR")


def plan(name: str, month: int, streams: int, *, version: int = 1, trial_days: int = 0) -> PlanVersion:
    """A plan that costs so many cents (and KRW 10 each) a month, and ten months' price a year."""
    periods: tuple[tuple[BillingPeriod, int], ...] = (("month", 1), ("year", 10))
    prices = tuple(
        PlanPrice(period, Money(each * times, currency))
        for currency, each in (("EUR", month), ("KRW", 10 * month))
        for period, times in periods
    )
    return PlanVersion(
        plan_id=PlanId(name),
        version=version,
        name=name.title(),
        prices=prices,
        trial_days=trial_days,
        limits=PlanLimits(streams=streams, max_resolution="1080p", profiles=5, downloads=10, ads=False),
    )


FREE: Final = plan("free", 0, 1)
BASIC: Final = plan("basic", 599, 1)
STANDARD: Final = plan("standard", 999, 2)
PREMIUM: Final = plan("premium", 1_599, 4)
TRIED: Final = plan("standard", 999, 2, trial_days=14)
HALF: Final = CouponTerms(code=CouponCode("HALF"), percent=50, periods=2)
FIVE: Final = CouponTerms(code=CouponCode("FIVE"), amount=euros(500), periods=1)


def sign_up(to: PlanVersion = STANDARD, period: BillingPeriod = "month", **values: Any) -> c.StartSubscription:
    values = {"subscription_id": SubscriptionId("s1"), "currency": "EUR", "time_zone": "UTC", **values}
    return c.StartSubscription(account_id=ME, plan=to, period=period, **values)


def invoice(number: int) -> InvoiceId:
    return InvoiceId(f"account-a1.{number}")


Step = tuple[c.SubscriptionCommand | str, datetime]
PAY: Final = "the provider takes the money of the open invoice"
DECLINE: Final = "the provider declines the open invoice"


def lived(*steps: Step) -> list[Event]:
    """The events that commands at their times led to. PAY and DECLINE answer the payment that was asked last."""
    history: list[Event] = []
    for step, now in steps:
        state = SUBSCRIPTION.state_after(history, SUBSCRIPTION.initial)
        history += SUBSCRIPTION.decide(answer(history, step) if isinstance(step, str) else step, state, now)
    return history


def answer(history: Sequence[Event], step: str) -> c.SubscriptionCommand:
    """The provider's answer to the payment that was asked last."""
    asked = [event for event in history if isinstance(event, PaymentRequested)][-1]
    charge_id = f"ch-{asked.idempotency_key}"
    if step == DECLINE:
        return c.RecordPaymentFailed(invoice_id=asked.invoice_id, code="insufficient_funds", charge_id=charge_id)
    return c.RecordPaymentSucceeded(invoice_id=asked.invoice_id, charge_id=charge_id, amount=asked.amount)


def state_of(history: Sequence[Event]) -> SubscriptionState:
    return SUBSCRIPTION.state_after(history, SUBSCRIPTION.initial)


def issued_in(history: Sequence[Event]) -> list[InvoiceIssued]:
    return [event for event in history if isinstance(event, InvoiceIssued)]


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


_ACTIVE: Final[tuple[Step, ...]] = ((sign_up(), T0), (PAY, T0))
_GRACE: Final[tuple[Step, ...]] = (*_ACTIVE, (c.Renew(number=2), FEB), (DECLINE, FEB))

ACCOUNTS: Final[dict[Status, tuple[list[Event], datetime]]] = {
    "none": ([], T0),
    "pending": (lived((sign_up(), T0)), T0 + timedelta(minutes=1)),
    "trialing": (lived((sign_up(TRIED), T0)), T0 + DAY),
    "active": (lived(*_ACTIVE), T0 + DAY),
    "grace": (lived(*_GRACE), FEB + DAY),
    "past_due": (lived(*_GRACE, (c.EnterPastDue(), FEB + 7 * DAY)), FEB + 8 * DAY),
    "paused": (lived(*_ACTIVE, (c.Pause(), T0 + DAY)), T0 + 2 * DAY),
    "canceled": (lived(*_ACTIVE, (c.Cancel(), T0 + DAY)), T0 + 2 * DAY),
    "expired": (lived(*_ACTIVE, (c.Cancel(immediately=True), T0 + DAY)), T0 + 2 * DAY),
}
"""Each state by the events that lead to it, and a moment in it."""
