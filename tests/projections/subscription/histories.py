"""What an account, a purchase, a plan and a coupon went through, as records of subscription.events."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from commands.decider import Decider
from commands.subscription import commands as c
from commands.subscription.plans import PLAN, DefinePlan, RetirePlan, RevisePlan
from commands.subscription.policy import Policy
from commands.subscription.purchases import PurchaseCommand, StartPurchase, StartRental, purchase_decider
from events.envelope import Envelope, Event
from events.subscription import Offer
from events.types import InvoiceId, OfferId, PurchaseId, TitleId
from tests.builders import envelope
from tests.commands.subscription.accounts import (
    BASIC,
    DAY,
    DECLINE,
    FEB,
    FIVE,
    ME,
    PAY,
    PREMIUM,
    STANDARD,
    SUBSCRIPTION,
    T0,
    answer,
    euros,
    invoice,
    sign_up,
)

HOUR: Final = timedelta(hours=1)
RENTAL: Final = Offer(
    offer_id=OfferId("heat-rent"), kind="rental", title_id=TitleId("heat"), title_name="Heat", prices=(euros(399),)
)
PURCHASE: Final = purchase_decider(Policy())


def recorded_as(stream_id: str, events: Sequence[tuple[Event, datetime]]) -> list[Envelope[Event]]:
    """Events of a stream in their envelopes."""
    return [
        envelope(
            event, id=f"{stream_id}/{version}", subject=stream_id, partitionkey=stream_id, sequence=version, time=at
        )
        for version, (event, at) in enumerate(events, 1)
    ]


def of_account(*steps: tuple[c.SubscriptionCommand | str, datetime]) -> list[Envelope[Event]]:
    """The records of an account's stream after commands at their times."""
    events: list[tuple[Event, datetime]] = []
    for step, now in steps:
        history = [event for event, _ in events]
        command = answer(history, step) if isinstance(step, str) else step
        state = SUBSCRIPTION.state_after(history, SUBSCRIPTION.initial)
        events += [(event, now) for event in SUBSCRIPTION.decide(command, state, now)]
    return recorded_as("subscription.account-a1", events)


def of_purchase(*steps: tuple[PurchaseCommand, datetime]) -> list[Envelope[Event]]:
    """The records of a purchase's stream."""
    return recorded_as("subscription.purchase-p1", _events(PURCHASE, steps))


def of_plan() -> list[Envelope[Event]]:
    """The records of a plan that was defined, revised and retired."""
    values = {"plan_id": STANDARD.plan_id, "name": "Standard", "prices": STANDARD.prices, "limits": STANDARD.limits}
    steps = (
        (DefinePlan(trial_days=0, **values), T0),  # type: ignore[arg-type]  # each value is its field's
        (RevisePlan(trial_days=14, **values), T0 + DAY),  # type: ignore[arg-type]  # each value is its field's
        (RetirePlan(plan_id=STANDARD.plan_id), T0 + 2 * DAY),
    )
    return recorded_as("subscription.plan-standard", _events(PLAN, steps))


C = TypeVar("C")
S = TypeVar("S")


def _events(decider: Decider[C, S], steps: Iterable[tuple[C, datetime]]) -> list[tuple[Event, datetime]]:
    events: list[tuple[Event, datetime]] = []
    for command, now in steps:
        state = decider.state_after((event for event, _ in events), decider.initial)
        events += [(event, now) for event in decider.decide(command, state, now)]
    return events


BUY: Final = StartPurchase(account_id=ME, purchase_id=PurchaseId("p1"), offer=RENTAL, currency="EUR")
PAID: Final = c.RecordPaymentSucceeded(invoice_id=InvoiceId("purchase-p1.1"), charge_id="ch-p1", amount=euros(399))
GIVE_BACK: Final = c.RequestRefund(invoice_id=InvoiceId("purchase-p1.1"))
GIVEN_BACK: Final = c.RecordRefund(
    invoice_id=InvoiceId("purchase-p1.1"),
    provider_refund_id="re-p1",
    outcome="succeeded",
    charge_id="ch-p1",
    amount=euros(399),
)

A_LIFE: Final = of_account(
    (sign_up(), T0),
    (PAY, T0),
    (c.ApplyCoupon(coupon=FIVE), T0 + HOUR),
    (c.ChangePlan(plan=BASIC, period="month"), T0 + HOUR),
    (c.ChangePlan(plan=STANDARD, period="month"), T0 + HOUR),
    (c.ChangePlan(plan=PREMIUM, period="month"), T0 + DAY),
    (DECLINE, T0 + DAY),
    (c.ChangePlan(plan=PREMIUM, period="month"), T0 + 2 * DAY),
    (PAY, T0 + 2 * DAY),
    (c.Pause(until=T0 + 5 * DAY), T0 + 3 * DAY),
    (c.Cancel(), T0 + 4 * DAY),
    (c.Uncancel(), T0 + 4 * DAY),
    (c.Renew(number=2), FEB + 2 * DAY),
    (DECLINE, FEB + 2 * DAY),
    (c.RetryPayment(invoice_id=invoice(4), attempt=2), FEB + 4 * DAY),
    (DECLINE, FEB + 4 * DAY),
    (c.EnterPastDue(), FEB + 12 * DAY),
    (c.Recover(), FEB + 13 * DAY),
    (PAY, FEB + 13 * DAY),
    (c.RequestRefund(invoice_id=invoice(1), amount=euros(500)), FEB + 14 * DAY),
    (
        c.RecordRefund(
            invoice_id=invoice(1),
            provider_refund_id="re-1",
            outcome="failed",
            charge_id=f"ch-{invoice(1)}/1",
            amount=euros(500),
        ),
        FEB + 14 * DAY,
    ),
    (c.Cancel(immediately=True, reason="moving"), FEB + 15 * DAY),
)
A_RENTAL: Final = of_purchase(
    (BUY, T0), (PAID, T0), (StartRental(), T0 + DAY), (GIVE_BACK, T0 + DAY), (GIVEN_BACK, T0 + DAY)
)
HISTORY: Final = [*of_plan(), *A_LIFE, *A_RENTAL]
