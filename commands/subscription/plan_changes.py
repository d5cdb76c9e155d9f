"""Changing the plan: a dearer one at once, for the difference; any other from the next period on. Pure."""

from datetime import datetime

from commands.subscription.commands import ChangePlan
from commands.subscription.invoicing import prorated, upgrade_invoice
from commands.subscription.periods import MONTHS, new_period
from commands.subscription.plans import terms_of
from commands.subscription.policy import Policy
from commands.subscription.refusals import PaymentOutstanding, PlanNotChangeable
from commands.subscription.settling import issue
from commands.subscription.state import Current, SubscriptionState, known
from events.envelope import Event
from events.subscription import (
    Period,
    PlanChanged,
    PlanChangeRequested,
    PlanChangeScheduled,
    PlanChangeUnscheduled,
    PlanTerms,
)
from events.types import AccountId, Money


def change_plan(command: ChangePlan, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """Dearer is what costs more a year. In a trial nothing is paid, so any plan is taken at once."""
    current = known(state)
    if state.status not in ("trialing", "active") or current.period is None or state.account_id is None:
        raise PlanNotChangeable(f"the subscription is {state.status}", members={"status": state.status})
    terms = terms_of(command.plan, current.terms.price.currency, command.period)
    if state.ledger.outstanding:
        return _unless_asked_before(state, terms)
    if terms == current.terms:
        return [_unscheduled(state.account_id, current)] if current.scheduled else []
    if state.status == "trialing":
        return [_changed(state.account_id, current, current.period, terms)]
    if _a_year_of(terms) > _a_year_of(current.terms) and now < current.period.ends_at:
        return _upgrade(state, current, terms, now, policy)
    return [] if terms == current.scheduled else [_scheduled(state.account_id, current, current.period, terms)]


def _unless_asked_before(state: SubscriptionState, terms: PlanTerms) -> list[Event]:
    owed = state.ledger.outstanding
    if owed and owed.issued.reason == "plan_change" and owed.issued.terms == terms:
        return []
    raise PaymentOutstanding("a payment is under way; change the plan when it is settled")


def _a_year_of(terms: PlanTerms) -> int:
    return terms.price.amount_minor * (12 // MONTHS[terms.period])


def _upgrade(
    state: SubscriptionState, current: Current, terms: PlanTerms, now: datetime, policy: Policy
) -> list[Event]:
    charge, period = _rest_of_period(current, terms, now, policy)
    issued = upgrade_invoice(state, charge, terms, period, now)
    requested = PlanChangeRequested(
        account_id=issued.account_id,
        subscription_id=current.subscription_id,
        terms=terms,
        invoice_id=issued.invoice_id,
    )
    return [requested, *issue(state, issued, now, policy)]


def _rest_of_period(current: Current, terms: PlanTerms, now: datetime, policy: Policy) -> tuple[Money, Period]:
    """What the new plan costs until when: the rest of the period that runs, or a whole one when periods differ in
    length or the old plan cost nothing."""
    period = current.period
    assert period is not None
    if terms.period != current.terms.period or not current.terms.price:
        return terms.price, new_period(period.number + 1, now, terms, current.time_zone, policy)
    whole = period.ends_at - period.starts_at
    return prorated(terms.price, part=min(period.ends_at - now, whole), whole=whole), period


def _changed(account_id: AccountId, current: Current, period: Period, terms: PlanTerms) -> Event:
    return PlanChanged(account_id=account_id, subscription_id=current.subscription_id, terms=terms, period=period)


def _scheduled(account_id: AccountId, current: Current, period: Period, terms: PlanTerms) -> Event:
    return PlanChangeScheduled(
        account_id=account_id,
        subscription_id=current.subscription_id,
        terms=terms,
        effective_at=period.ends_at,
    )


def _unscheduled(account_id: AccountId, current: Current) -> Event:
    return PlanChangeUnscheduled(account_id=account_id, subscription_id=current.subscription_id)
