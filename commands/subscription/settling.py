"""What a paid invoice brings about, and how a payment is recorded: pure."""

from datetime import datetime

from commands.subscription import ledger
from commands.subscription.commands import RecordPaymentFailed, RecordPaymentSucceeded, Recover, Renew, RetryPayment
from commands.subscription.invoicing import period_invoice
from commands.subscription.ledger import Invoice
from commands.subscription.periods import new_period, next_period
from commands.subscription.policy import Policy
from commands.subscription.refusals import NotDueYet, NotRecoverable, NotRenewable
from commands.subscription.state import Current, SubscriptionState, known
from commands.subscription.time_passing import over
from events.envelope import Event
from events.subscription import (
    InvoiceIssued,
    Period,
    PlanChangeAbandoned,
    PlanChanged,
    SubscriptionActivated,
    SubscriptionEnteredGrace,
    SubscriptionRecovered,
    SubscriptionRenewed,
)


def issue(state: SubscriptionState, issued: InvoiceIssued, now: datetime, policy: Policy) -> list[Event]:
    """An invoice, and its payment asked for; one that asks for nothing is settled at once."""
    if not issued.total:
        return [issued, *_settled(state, issued, now, policy)]
    assert issued.terms is not None
    return [issued, ledger.ask(issued, issued.terms.name)]


def renew(command: Renew, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """Invoice the next period, once. After a time without access it begins now."""
    current = known(state)
    if state.status not in ("active", "trialing", "grace", "past_due") or current.period is None:
        raise NotRenewable(f"the subscription is {state.status}", members={"status": state.status})
    owed = state.ledger.outstanding
    if command.number <= current.period.number or (owed and owed.issued.reason == "renewal"):
        return []
    if now < current.period.ends_at or command.number > current.period.number + 1:
        raise NotDueYet(f"period {current.period.number} ends at {current.period.ends_at}")
    return [*abandoned(state), *_renewal(state, current, now, policy)]


def _renewal(state: SubscriptionState, current: Current, now: datetime, policy: Policy) -> list[Event]:
    assert current.period is not None
    terms = current.scheduled or current.terms
    if state.status == "past_due":
        period = new_period(current.period.number + 1, now, terms, current.time_zone, policy)
    else:
        period = next_period(current.period, terms, current.time_zone, policy)
    return issue(state, period_invoice(state, "renewal", terms, period, now), now, policy)


def abandoned(state: SubscriptionState) -> list[Event]:
    """The end of an upgrade that nobody paid yet, if there is one."""
    owed, current = state.ledger.outstanding, known(state)
    if owed is None or owed.issued.reason != "plan_change":
        return []
    return [
        ledger.void(owed, "superseded"),
        PlanChangeAbandoned(
            account_id=owed.issued.account_id,
            subscription_id=current.subscription_id,
            invoice_id=owed.issued.invoice_id,
        ),
    ]


def retry(command: RetryPayment, state: SubscriptionState, now: datetime) -> list[Event]:
    """The next attempt at an overdue payment, when it is time."""
    invoice = state.ledger.invoice(command.invoice_id)
    if invoice.status != "open" or command.attempt <= invoice.attempt:
        return []
    if state.status != "grace":
        raise NotRecoverable(f"the subscription is {state.status}", members={"status": state.status})
    if command.attempt != invoice.attempt + 1 or invoice.retry_at is None or now < invoice.retry_at:
        raise NotDueYet(f"attempt {invoice.attempt + 1} is due at {invoice.retry_at}")
    return [_ask_again(invoice)]


def recover(_: Recover, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """Ask for what is overdue now."""
    current, owed = known(state), state.ledger.outstanding
    if state.status not in ("active", "trialing", "grace", "past_due") or current.period is None:
        raise NotRecoverable(f"the subscription is {state.status}", members={"status": state.status})
    if now < current.period.ends_at:
        return []
    if owed is None or owed.issued.reason != "renewal":
        return renew(Renew(number=current.period.number + 1), state, now, policy)
    return [_ask_again(owed)] if owed.answered else []


def _ask_again(invoice: Invoice) -> Event:
    assert invoice.issued.terms is not None
    return ledger.ask(invoice, invoice.issued.terms.name)


def record_succeeded(
    command: RecordPaymentSucceeded, state: SubscriptionState, now: datetime, policy: Policy
) -> list[Event]:
    """The money came: what it was owed for is settled; what nobody owes goes back."""
    paid = ledger.succeeded(command, state.ledger)
    if paid is None:
        return []
    invoice = state.ledger.invoice(command.invoice_id)
    if invoice.status != "open":
        return [paid, ledger.unowed(invoice, paid, state.ledger)]
    return [paid, *_settled(state, invoice.issued, now, policy)]


def record_failed(command: RecordPaymentFailed, state: SubscriptionState, now: datetime, policy: Policy) -> list[Event]:
    """The money did not come: a renewal is tried again inside the grace, anything else is given up."""
    news = ledger.failed(command, state.ledger, _retry_at(state, now, policy))
    if news is None:
        return []
    invoice, failure = news
    if invoice.status != "open":
        return [failure]
    match invoice.issued.reason:
        case "first":
            return [failure, *over(state, "declined")]
        case "plan_change":
            return [failure, *abandoned(state)]
        case _:
            return [failure, *_into_grace(state)]


def _into_grace(state: SubscriptionState) -> list[Event]:
    current = known(state)
    if state.status not in ("active", "trialing") or current.period is None or state.account_id is None:
        return []
    return [
        SubscriptionEnteredGrace(
            account_id=state.account_id,
            subscription_id=current.subscription_id,
            grace_until=current.period.grace_until,
        )
    ]


def _retry_at(state: SubscriptionState, now: datetime, policy: Policy) -> datetime | None:
    period = state.current.period if state.current else None
    if period is None or state.status not in ("active", "trialing", "grace"):
        return None
    times = (period.ends_at + after for after in policy.retries)
    return next((at for at in times if now < at < period.grace_until), None)


def _settled(state: SubscriptionState, issued: InvoiceIssued, now: datetime, policy: Policy) -> list[Event]:
    current, terms = known(state), issued.terms
    assert issued.period is not None and terms is not None
    period = issued.period
    if issued.reason == "renewal" and state.status == "past_due":
        period = new_period(issued.period.number, now, terms, current.time_zone, policy)
    change = PlanChanged(
        account_id=issued.account_id, subscription_id=current.subscription_id, terms=terms, period=period
    )
    if issued.reason == "plan_change":
        return [change]
    changed: list[Event] = [change] if terms != current.terms else []
    return [_paid(state, current, period), *changed]


def _paid(state: SubscriptionState, current: Current, period: Period) -> Event:
    assert state.account_id is not None
    event = SubscriptionRecovered
    if state.status in ("pending", "trialing"):
        event = SubscriptionActivated  # type: ignore[assignment]
    if state.status == "active":
        event = SubscriptionRenewed  # type: ignore[assignment]
    return event(account_id=state.account_id, subscription_id=current.subscription_id, period=period)
