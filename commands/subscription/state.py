"""What an account's stream adds up to: its subscription, if any, and its money."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from commands.subscription import ledger
from commands.subscription.ledger import Ledger
from commands.subscription.refusals import SubscriptionUnknown
from events.envelope import Event
from events.subscription import (
    CouponApplied,
    CouponTerms,
    InvoiceIssued,
    PaymentSucceeded,
    Period,
    PlanChanged,
    PlanChangeScheduled,
    PlanChangeUnscheduled,
    PlanTerms,
    SubscriptionActivated,
    SubscriptionBecamePastDue,
    SubscriptionCanceled,
    SubscriptionEnteredGrace,
    SubscriptionExpired,
    SubscriptionPaused,
    SubscriptionRecovered,
    SubscriptionRenewed,
    SubscriptionResumed,
    SubscriptionStarted,
    SubscriptionUncanceled,
    TrialStarted,
)
from events.types import AccountId, CouponCode, Money, SubscriptionId

Status: TypeAlias = Literal[
    "none", "pending", "trialing", "active", "grace", "past_due", "paused", "canceled", "expired"
]


@dataclass(frozen=True, kw_only=True)
class Covered:
    """What was paid for the time from one moment to another: what a dearer plan credits the rest of."""

    starts_at: datetime
    ends_at: datetime
    value: Money


@dataclass(frozen=True, kw_only=True)
class Current:
    """The latest subscription. `period` None: not paid yet. `ends_at`: of a canceled one."""

    subscription_id: SubscriptionId
    terms: PlanTerms
    time_zone: str
    pending_until: datetime
    period: Period | None = None
    covered: Covered | None = None
    scheduled: PlanTerms | None = None
    paused_at: datetime | None = None
    resumes_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Discount:
    """A coupon that runs."""

    terms: CouponTerms
    periods_left: int


@dataclass(frozen=True, kw_only=True)
class SubscriptionState:
    """`credits`: what is left of earlier plans, by currency. `issued`: how many invoices there were."""

    account_id: AccountId | None = None
    status: Status = "none"
    current: Current | None = None
    ledger: Ledger = field(default_factory=Ledger)
    issued: int = 0
    trial_used: bool = False
    discount: Discount | None = None
    coupons: frozenset[CouponCode] = frozenset()
    credits: Mapping[str, Money] = field(default_factory=dict)


PaidEvent: TypeAlias = SubscriptionActivated | SubscriptionRenewed | SubscriptionRecovered


def evolve(state: SubscriptionState, event: Event) -> SubscriptionState:
    """The state after an event."""
    before = state
    state = replace(state, ledger=ledger.evolve(state.ledger, event))
    match event:
        case InvoiceIssued():
            state = replace(state, issued=state.issued + 1)
        case CouponApplied(coupon=coupon):
            running = Discount(terms=coupon, periods_left=coupon.periods)
            state = replace(state, discount=running, coupons=state.coupons | {coupon.code})
        case SubscriptionStarted():
            state = _started(state, event)
    return _settled(before, _lived(state, event), event)


def _started(state: SubscriptionState, event: SubscriptionStarted) -> SubscriptionState:
    current = Current(
        subscription_id=event.subscription_id,
        terms=event.terms,
        time_zone=event.time_zone,
        pending_until=event.pending_until,
    )
    return replace(state, account_id=event.account_id, status="pending", current=current)


def _lived(state: SubscriptionState, event: Event) -> SubscriptionState:  # noqa: PLR0911 - a routing table
    """The subscription after an event of its life."""
    current = state.current
    if current is None:
        return state
    match event:
        case TrialStarted(period=period):
            return replace(state, status="trialing", trial_used=True, current=replace(current, period=period))
        case SubscriptionActivated() | SubscriptionRenewed() | SubscriptionRecovered():
            return replace(state, status="active", current=_paid(state, current, event))
        case SubscriptionEnteredGrace():
            return replace(state, status="grace")
        case SubscriptionBecamePastDue():
            return replace(state, status="past_due")
        case SubscriptionPaused():
            paused = replace(current, paused_at=event.paused_at, resumes_at=event.resumes_at)
            return replace(state, status="paused", current=paused)
        case SubscriptionResumed(period=period):
            return replace(state, status="active", current=_resumed(current, period))
        case SubscriptionCanceled(ends_at=ends_at):
            canceled = replace(current, ends_at=ends_at, scheduled=None, paused_at=None, resumes_at=None)
            return replace(state, status="canceled", current=canceled)
        case SubscriptionUncanceled(trialing=trialing, period=period):
            renewed = replace(current, ends_at=None, period=period)
            return replace(state, status="trialing" if trialing else "active", current=renewed)
        case SubscriptionExpired():
            return replace(state, status="expired", discount=None)
        case _:
            return replace(state, current=_changed(state, current, event))


def _changed(state: SubscriptionState, current: Current, event: Event) -> Current:
    match event:
        case PlanChangeScheduled(terms=terms):
            return replace(current, scheduled=terms)
        case PlanChangeUnscheduled():
            return replace(current, scheduled=None)
        case PlanChanged(terms=terms, period=period):
            return replace(current, terms=terms, period=period, scheduled=None, covered=_cover(state, current, period))
        case _:
            return current


def _paid(state: SubscriptionState, current: Current, event: PaidEvent) -> Current:
    paid = _last_settled(state)
    value = value_of(paid) if paid else current.terms.price.nothing
    covered = Covered(starts_at=event.period.starts_at, ends_at=event.period.ends_at, value=value)
    return replace(current, period=event.period, covered=covered)


def _cover(state: SubscriptionState, current: Current, period: Period) -> Covered | None:
    """After an upgrade, what its invoice paid for: from when it was issued to the period's end."""
    paid = _last_settled(state)
    if paid is None or paid.reason != "plan_change" or paid.period != period:
        return current.covered
    return Covered(starts_at=paid.due_at, ends_at=period.ends_at, value=value_of(paid))


def _resumed(current: Current, period: Period) -> Current:
    covered, old = current.covered, current.period
    if covered and old:
        by = period.ends_at - old.ends_at
        covered = replace(covered, starts_at=covered.starts_at + by, ends_at=covered.ends_at + by)
    return replace(current, period=period, covered=covered, paused_at=None, resumes_at=None)


def _last_settled(state: SubscriptionState) -> InvoiceIssued | None:
    paid = [invoice.issued for invoice in state.ledger.invoices.values() if invoice.status == "paid"]
    return max(paid, key=lambda issued: int(issued.invoice_id.rpartition(".")[2])) if paid else None


def value_of(issued: InvoiceIssued) -> Money:
    """What an invoice's plan is worth: its price less the discount, whatever it was paid with."""
    value = issued.total.nothing
    for line in issued.lines:
        if line.kind == "plan":
            value = value.plus(line.amount)
        if line.kind == "discount":
            value = value.minus(line.amount)
    return value


def _settled(before: SubscriptionState, after: SubscriptionState, event: Event) -> SubscriptionState:
    """Once an invoice is paid, its discount is used and its credits are what it carries on."""
    if not isinstance(event, InvoiceIssued | PaymentSucceeded):
        return after
    known, invoice = before.ledger.invoices.get(event.invoice_id), after.ledger.invoices[event.invoice_id]
    if invoice.status != "paid" or (known is not None and known.status != "open"):
        return after
    carried = invoice.issued.carried
    discounted = any(line.kind == "discount" for line in invoice.issued.lines)
    return replace(
        after,
        credits={**after.credits, carried.currency: carried},
        discount=_used(after.discount) if discounted else after.discount,
    )


def _used(discount: Discount | None) -> Discount | None:
    if discount is None or discount.periods_left <= 1:
        return None
    return replace(discount, periods_left=discount.periods_left - 1)


def known(state: SubscriptionState) -> Current:
    """The latest subscription. Raises SubscriptionUnknown when there never was one."""
    if state.current is None:
        raise SubscriptionUnknown("the account never subscribed; start a subscription first")
    return state.current
