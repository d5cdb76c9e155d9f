"""What subscribers and staff ask for, and what time brings: start, pause, resume, cancel, expire. Pure."""

from datetime import datetime

from commands.subscription.calendar import zone_of
from commands.subscription.commands import (
    ApplyCoupon,
    Cancel,
    EnterPastDue,
    Expire,
    Pause,
    Resume,
    StartSubscription,
    Uncancel,
)
from commands.subscription.invoicing import period_invoice
from commands.subscription.periods import new_period, trial_period
from commands.subscription.plans import terms_of
from commands.subscription.policy import Policy
from commands.subscription.refusals import (
    AlreadySubscribed,
    CouponAlreadyRedeemed,
    CouponAlreadyRunning,
    CouponNotApplicable,
    NotDueYet,
    NotPausable,
    NotResumable,
    NotUncancelable,
    PauseTooLong,
)
from commands.subscription.settling import abandoned, issue
from commands.subscription.state import SubscriptionState, known
from commands.subscription.time_passing import after, over, resumed
from events.envelope import Event
from events.subscription import (
    CouponApplied,
    CouponTerms,
    PlanTerms,
    SubscriptionCanceled,
    SubscriptionPaused,
    SubscriptionStarted,
    SubscriptionUncanceled,
    TrialStarted,
)


def start(command: StartSubscription, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """A new subscription, unless one is not over. One that is overdue without access never stands in the way."""
    if state.current and state.current.subscription_id == command.subscription_id:
        return []
    if state.status not in ("none", "expired", "past_due"):
        raise AlreadySubscribed(
            f"the account has a subscription that is {state.status}", members={"status": state.status}
        )
    terms = terms_of(command.plan, command.currency, command.period)
    zone_of(command.time_zone)
    events: list[Event] = over(state, "superseded") if state.status == "past_due" else []
    events.append(
        SubscriptionStarted(
            account_id=command.account_id,
            subscription_id=command.subscription_id,
            terms=terms,
            time_zone=command.time_zone,
            pending_until=now + policy.pending,
        )
    )
    if command.coupon:
        events.append(_applied(after(state, events), command.coupon, terms))
    return [*events, *_begun(command, after(state, events), terms, now, policy)]


def _begun(
    command: StartSubscription, state: SubscriptionState, terms: PlanTerms, now: datetime, policy: Policy
) -> list[Event]:
    """The trial, once for an account, or the first invoice."""
    if terms.trial_days and not state.trial_used:
        period = trial_period(now, terms, command.time_zone, policy)
        return [TrialStarted(account_id=command.account_id, subscription_id=command.subscription_id, period=period)]
    first = new_period(1, now, terms, command.time_zone, policy)
    return issue(state, period_invoice(state, "first", terms, first, now), now, policy)


def apply_coupon(command: ApplyCoupon, state: SubscriptionState) -> list[Event]:
    """Discount the next invoices; the one that is open stays as it is."""
    current = known(state)
    if state.status in ("pending", "canceled", "expired"):
        raise CouponNotApplicable(f"the subscription is {state.status}", members={"status": state.status})
    return [_applied(state, command.coupon, current.scheduled or current.terms)]


def _applied(state: SubscriptionState, coupon: CouponTerms, terms: PlanTerms) -> CouponApplied:
    assert state.account_id is not None
    if coupon.code in state.coupons:
        raise CouponAlreadyRedeemed(f"the account redeemed {coupon.code!r} before")
    if state.discount:
        raise CouponAlreadyRunning(
            f"{state.discount.terms.code!r} discounts {state.discount.periods_left} more periods; coupons do not add up"
        )
    if coupon.amount:
        coupon.amount.at_most(terms.price)  # of one currency, or refused
    return CouponApplied(account_id=state.account_id, coupon=coupon)


def pause(command: Pause, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """No access and no charges; what is left of the period is kept."""
    current = known(state)
    if state.status == "paused":
        return []
    if state.status != "active" or state.ledger.outstanding or not current.period or now >= current.period.ends_at:
        raise NotPausable(
            f"the subscription is {state.status}, or owes something; only an active one that owes nothing is paused",
            members={"status": state.status},
        )
    latest = now + policy.longest_pause
    until = command.until or latest
    if not now < until <= latest:
        raise PauseTooLong(f"a pause ends after now and at the latest at {latest}")
    assert state.account_id is not None
    return [
        SubscriptionPaused(
            account_id=state.account_id, subscription_id=current.subscription_id, paused_at=now, resumes_at=until
        )
    ]


def resume(_: Resume, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """Access again, for as long as was left."""
    current = known(state)
    if state.status == "active":
        return []
    if state.status != "paused":
        raise NotResumable(f"the subscription is {state.status}", members={"status": state.status})
    return resumed(state, current, now, policy)


def cancel(command: Cancel, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """Do not renew. What is paid is used up, unless it is to end now, or nothing is paid any more."""
    current = known(state)
    if state.status == "expired" or (state.status == "canceled" and not command.immediately):
        return []
    before = resumed(state, current, now, policy) if state.status == "paused" else abandoned(state)
    state = after(state, before)
    period = known(state).period
    unpaid = state.status in ("pending", "grace", "past_due") or period is None or now >= period.ends_at
    ends_at = now if command.immediately or unpaid or period is None else period.ends_at
    assert state.account_id is not None
    canceled = SubscriptionCanceled(
        account_id=state.account_id,
        subscription_id=current.subscription_id,
        ends_at=ends_at,
        reason=command.reason,
    )
    return [*before, canceled, *(over(state, "canceled") if ends_at <= now else [])]


def uncancel(_: Uncancel, state: SubscriptionState) -> list[Event]:
    """Renew after all, while what is paid is not used up."""
    current = known(state)
    if state.status in ("active", "trialing"):
        return []
    if state.status != "canceled" or current.period is None or state.account_id is None:
        raise NotUncancelable(f"the subscription is {state.status}", members={"status": state.status})
    return [
        SubscriptionUncanceled(
            account_id=state.account_id,
            subscription_id=current.subscription_id,
            trialing=current.period.number == 0,
            period=current.period,
        )
    ]


def enter_past_due(_: EnterPastDue, state: SubscriptionState) -> list[Event]:
    """Time has done it, or it is too early."""
    known(state)
    if state.status not in ("past_due", "expired"):
        raise NotDueYet(f"the subscription is {state.status}", members={"status": state.status})
    return []


def expire(_: Expire, state: SubscriptionState) -> list[Event]:
    """Time has done it, or it is too early."""
    known(state)
    if state.status != "expired":
        raise NotDueYet(f"the subscription is {state.status}", members={"status": state.status})
    return []
