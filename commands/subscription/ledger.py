"""The money side of a stream, the same for subscriptions and purchases: invoices, payments and refunds, pure.

News of a payment comes as the provider's reply and as webhooks, twice and in any order. What was recorded before is
ignored; money that came for what nobody owes any more is given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from commands.subscription.commands import RecordPaymentFailed, RecordPaymentSucceeded, RecordRefund, RequestRefund
from commands.subscription.refusals import (
    AmountDiffers,
    InvoiceUnknown,
    NotRefundable,
    RefundExceedsPayment,
    RefundUnknown,
)
from events.envelope import Event
from events.subscription import (
    InvoiceIssued,
    InvoiceVoided,
    PaymentFailed,
    PaymentRequested,
    PaymentSucceeded,
    RefundFailed,
    RefundIssued,
    RefundReason,
    RefundRequested,
    VoidReason,
)
from events.types import InvoiceId, Money, RefundId


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """An invoice as it stands. `request`: the last payment asked for; `answered`: whether its outcome is known."""

    issued: InvoiceIssued
    status: Literal["open", "paid", "void"]
    request: PaymentRequested | None = None
    answered: bool = True
    retry_at: datetime | None = None
    charges: Mapping[str, Literal["succeeded", "failed"]] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """The number of the last attempt; 0 before the first."""
        return self.request.attempt if self.request else 0


@dataclass(frozen=True)
class RefundState:
    """A refund as it stands."""

    requested: RefundRequested
    status: Literal["requested", "issued", "failed"] = "requested"


@dataclass(frozen=True)
class Ledger:
    """All invoices and refunds of a stream, and the provider's events that were recorded."""

    invoices: Mapping[InvoiceId, Invoice] = field(default_factory=dict)
    refunds: Mapping[RefundId, RefundState] = field(default_factory=dict)
    provider_events: frozenset[str] = frozenset()
    provider_refunds: frozenset[str] = frozenset()

    @property
    def outstanding(self) -> Invoice | None:
        """The invoice that is owed; there is never more than one."""
        return next((invoice for invoice in self.invoices.values() if invoice.status == "open"), None)

    def invoice(self, invoice_id: InvoiceId) -> Invoice:
        """An invoice. Raises InvoiceUnknown."""
        if invoice_id not in self.invoices:
            raise InvoiceUnknown(f"there is no invoice {invoice_id!r} here")
        return self.invoices[invoice_id]

    def unrefunded(self, invoice: Invoice, charge_id: str) -> Money:
        """What is left of a charge: neither given back nor asked to be."""
        left = invoice.issued.total
        for refund in self.refunds.values():
            if refund.requested.charge_id == charge_id and refund.status != "failed":
                left = left.minus(refund.requested.amount)
        return left


def evolve(ledger: Ledger, event: Event) -> Ledger:  # noqa: PLR0911 - a routing table
    """The ledger after an event."""
    match event:
        case InvoiceIssued():
            return _with(ledger, Invoice(issued=event, status="open" if event.total else "paid"))
        case PaymentRequested():
            asked = replace(ledger.invoices[event.invoice_id], request=event, answered=False, retry_at=None)
            return _with(ledger, asked)
        case PaymentSucceeded() | PaymentFailed():
            return _with_news(ledger, event)
        case InvoiceVoided():
            return _with(ledger, replace(ledger.invoices[event.invoice_id], status="void", retry_at=None))
        case RefundRequested():
            return replace(ledger, refunds={**ledger.refunds, event.refund_id: RefundState(event)})
        case RefundIssued() | RefundFailed():
            return _with_refund(ledger, event)
        case _:
            return ledger


def _with(ledger: Ledger, invoice: Invoice) -> Ledger:
    return replace(ledger, invoices={**ledger.invoices, invoice.issued.invoice_id: invoice})


def _with_news(ledger: Ledger, event: PaymentSucceeded | PaymentFailed) -> Ledger:
    invoice = ledger.invoices[event.invoice_id]
    charges = dict(invoice.charges)
    if event.charge_id is not None:
        charges[event.charge_id] = "succeeded" if isinstance(event, PaymentSucceeded) else "failed"
    news = replace(invoice, charges=charges, answered=invoice.answered or event.attempt == invoice.attempt)
    if isinstance(event, PaymentFailed):
        news = replace(news, retry_at=event.retry_at or news.retry_at)
    elif invoice.status == "open":
        news = replace(news, status="paid", retry_at=None)
    return _with(replace(ledger, provider_events=_seen(ledger, event.provider_event_id)), news)


def _with_refund(ledger: Ledger, event: RefundIssued | RefundFailed) -> Ledger:
    status: Literal["issued", "failed"] = "issued" if isinstance(event, RefundIssued) else "failed"
    return replace(
        ledger,
        refunds={**ledger.refunds, event.refund_id: replace(ledger.refunds[event.refund_id], status=status)},
        provider_events=_seen(ledger, event.provider_event_id),
        provider_refunds=ledger.provider_refunds | {event.provider_refund_id},
    )


def _seen(ledger: Ledger, provider_event_id: str | None) -> frozenset[str]:
    return ledger.provider_events | ({provider_event_id} if provider_event_id else frozenset())


def ask(invoice: Invoice | InvoiceIssued, description: str) -> PaymentRequested:
    """The next attempt at an invoice's payment."""
    issued, attempt = (invoice, 0) if isinstance(invoice, InvoiceIssued) else (invoice.issued, invoice.attempt)
    return PaymentRequested(
        account_id=issued.account_id,
        invoice_id=issued.invoice_id,
        attempt=attempt + 1,
        amount=issued.total,
        idempotency_key=f"{issued.invoice_id}/{attempt + 1}",
        description=description,
    )


def void(invoice: Invoice, reason: VoidReason) -> InvoiceVoided:
    """Nothing is owed for it any more."""
    return InvoiceVoided(account_id=invoice.issued.account_id, invoice_id=invoice.issued.invoice_id, reason=reason)


def succeeded(command: RecordPaymentSucceeded, ledger: Ledger) -> PaymentSucceeded | None:
    """The payment to be recorded; None when it was before. Raises InvoiceUnknown, AmountDiffers."""
    invoice = ledger.invoice(command.invoice_id)
    if command.provider_event_id in ledger.provider_events or invoice.charges.get(command.charge_id) == "succeeded":
        return None
    if command.amount != invoice.issued.total:
        raise AmountDiffers(
            f"charge {command.charge_id} took {command.amount}; the invoice asks for {invoice.issued.total}",
            members={"invoice_id": command.invoice_id},
        )
    return PaymentSucceeded(
        account_id=invoice.issued.account_id,
        invoice_id=command.invoice_id,
        attempt=invoice.attempt,
        charge_id=command.charge_id,
        amount=command.amount,
        provider_event_id=command.provider_event_id,
    )


def unowed(invoice: Invoice, paid: PaymentSucceeded, ledger: Ledger) -> RefundRequested:
    """Money that came for a settled or void invoice goes back."""
    reason: RefundReason = "paid_twice" if invoice.status == "paid" else "paid_too_late"
    return _refund(invoice, paid.charge_id, paid.amount, ledger, reason=reason)


def failed(
    command: RecordPaymentFailed, ledger: Ledger, retry_at: datetime | None
) -> tuple[Invoice, PaymentFailed] | None:
    """The failure to be recorded, with its invoice as it was; None when its outcome is known. Raises InvoiceUnknown."""
    invoice = ledger.invoice(command.invoice_id)
    if command.provider_event_id in ledger.provider_events or command.charge_id in invoice.charges or invoice.answered:
        return None
    return invoice, PaymentFailed(
        account_id=invoice.issued.account_id,
        invoice_id=command.invoice_id,
        attempt=invoice.attempt,
        code=command.code,
        charge_id=command.charge_id,
        retry_at=retry_at if invoice.status == "open" else None,
        provider_event_id=command.provider_event_id,
    )


def request_refund(command: RequestRefund, ledger: Ledger) -> list[Event]:
    """Ask for some of an invoice's payment back. Raises InvoiceUnknown, NotRefundable, RefundExceedsPayment."""
    invoice = ledger.invoice(command.invoice_id)
    charge_id = next((charge for charge, status in invoice.charges.items() if status == "succeeded"), None)
    left = ledger.unrefunded(invoice, charge_id) if charge_id else None
    if charge_id is None or not left:
        raise NotRefundable("nothing that was paid for this invoice is left to give back")
    amount = command.amount or left
    if left.at_most(amount) != amount:
        raise RefundExceedsPayment(f"{left} is left of the payment", members={"left_minor": left.amount_minor})
    return [_refund(invoice, charge_id, amount, ledger, reason="requested", note=command.note)]


def _refund(
    invoice: Invoice, charge_id: str, amount: Money, ledger: Ledger, *, reason: RefundReason, note: str = ""
) -> RefundRequested:
    invoice_id = invoice.issued.invoice_id
    number = 1 + sum(refund.requested.invoice_id == invoice_id for refund in ledger.refunds.values())
    return RefundRequested(
        account_id=invoice.issued.account_id,
        refund_id=RefundId(f"{invoice_id}.r{number}"),
        invoice_id=invoice_id,
        charge_id=charge_id,
        amount=amount,
        reason=reason,
        note=note,
    )


def record_refund(command: RecordRefund, ledger: Ledger) -> list[Event]:
    """How a refund ended; nothing when it is known. Raises RefundUnknown, or InvoiceUnknown."""
    ledger.invoice(command.invoice_id)
    if command.refund_id is None and command.provider_refund_id in ledger.provider_refunds:
        return []
    if command.provider_event_id in ledger.provider_events:
        return []
    refund = _refund_of(command, ledger)
    if refund.status != "requested":
        return []
    return [
        (RefundIssued if command.outcome == "succeeded" else RefundFailed)(
            account_id=refund.requested.account_id,
            refund_id=refund.requested.refund_id,
            invoice_id=command.invoice_id,
            amount=refund.requested.amount,
            provider_refund_id=command.provider_refund_id,
            provider_event_id=command.provider_event_id,
        )
    ]


def _refund_of(command: RecordRefund, ledger: Ledger) -> RefundState:
    if command.refund_id is not None and command.refund_id in ledger.refunds:
        return ledger.refunds[command.refund_id]
    for refund in ledger.refunds.values():
        asked = refund.requested
        if refund.status == "requested" and (asked.charge_id, asked.amount) == (command.charge_id, command.amount):
            return refund
    raise RefundUnknown(f"nobody asked for the refund {command.provider_refund_id!r}")
