"""What falls due in an account's subscription by now: pure. The renewal process asks, and does it; asked again after
that, nothing is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from commands.subscription.commands import EnterPastDue, Expire, Renew, Resume, RetryPayment, SubscriptionCommand
from commands.subscription.ledger import Invoice, Ledger
from commands.subscription.policy import Policy
from commands.subscription.state import SubscriptionState
from commands.subscription.time_passing import passed
from events.subscription import (
    PaymentRequested,
    RefundRequested,
    SubscriptionBecamePastDue,
    SubscriptionExpired,
    SubscriptionResumed,
)


@dataclass(frozen=True)
class OpenRequests:
    """What the provider is to be asked. `unowed`: payments that nobody owes any more; they are not asked for, only
    looked up."""

    payments: tuple[PaymentRequested, ...]
    unowed: tuple[PaymentRequested, ...]
    refunds: tuple[RefundRequested, ...]


def due_command(state: SubscriptionState, now: datetime, policy: Policy) -> SubscriptionCommand | None:
    """The next command that time asks for, or None."""
    for event in reversed(passed(state, now, policy)):
        match event:
            case SubscriptionExpired():
                return Expire()
            case SubscriptionBecamePastDue():
                return EnterPastDue()
            case SubscriptionResumed():
                return Resume()
    return _retry(state, now) or _renew(state, now)


def _retry(state: SubscriptionState, now: datetime) -> RetryPayment | None:
    owed = state.ledger.outstanding
    if owed is None or state.status != "grace" or owed.retry_at is None or now < owed.retry_at:
        return None
    return RetryPayment(invoice_id=owed.issued.invoice_id, attempt=owed.attempt + 1)


def _renew(state: SubscriptionState, now: datetime) -> Renew | None:
    owed, period = state.ledger.outstanding, state.current.period if state.current else None
    # Overdue without an invoice: nobody asked for the renewal in time, which is no reason not to ask at all.
    if state.status not in ("active", "trialing", "past_due") or period is None or now < period.ends_at:
        return None
    if owed is not None and owed.issued.reason == "renewal":
        return None
    return Renew(number=period.number + 1)


def open_requests(ledger: Ledger) -> OpenRequests:
    """The requests whose outcome is not known."""
    waiting = [invoice for invoice in ledger.invoices.values() if not invoice.answered]
    return OpenRequests(
        payments=tuple(_requests(invoice for invoice in waiting if invoice.status == "open")),
        unowed=tuple(_requests(invoice for invoice in waiting if invoice.status != "open")),
        refunds=tuple(refund.requested for refund in ledger.refunds.values() if refund.status == "requested"),
    )


def _requests(invoices: Iterator[Invoice]) -> Iterator[PaymentRequested]:
    return (invoice.request for invoice in invoices if invoice.request is not None)
