"""Invoices in Postgres: what was owed, for what, and how it went."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import (
    InvoiceEvent,
    InvoiceIssued,
    InvoiceLine,
    InvoiceVoided,
    PaymentFailed,
    PaymentRequested,
    PaymentSucceeded,
    RefundIssued,
)
from events.topics import SUBSCRIPTION
from projections.views import KeyedView

InvoiceStatus: TypeAlias = Literal["open", "paid", "void"]


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `payments` and `refunds`: minor units by charge and by refund, so that none counts twice. `paid_minor` is
    more than the total when it was paid twice."""

    invoice_id: str
    account_id: str
    purchase_id: str | None = None
    reason: str
    status: InvoiceStatus
    lines: tuple[InvoiceLine, ...]
    currency: str
    total_minor: int
    carried_minor: int
    paid_minor: int = 0
    refunded_minor: int = 0
    payments: dict[str, int] = {}
    refunds: dict[str, int] = {}
    period_starts_at: datetime | None = None
    period_ends_at: datetime | None = None
    issued_at: datetime
    due_at: datetime
    attempts: int = 0
    retry_at: datetime | None = None
    failure_code: str | None = None
    settled_at: datetime | None = None
    void_reason: str | None = None


class Invoices(KeyedView[Invoice, str]):
    """One row an invoice."""

    name = "subscription_invoices"
    row = Invoice
    topics = (SUBSCRIPTION,)
    events = members(InvoiceEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The invoice."""
        event = recorded.data
        assert isinstance(event, InvoiceEvent)
        return event.invoice_id

    def project(self, row: Invoice | None, recorded: Recorded[Event]) -> Invoice | None:
        """The invoice after it was issued, asked for, paid, voided or refunded."""
        at = recorded.envelope.time
        if isinstance(recorded.data, InvoiceIssued):
            return _issued(recorded.data, at)
        return _after(row, recorded.data, at) if row else None


def _issued(event: InvoiceIssued, at: datetime) -> Invoice:
    return Invoice(
        invoice_id=event.invoice_id,
        account_id=event.account_id,
        purchase_id=event.purchase_id,
        reason=event.reason,
        status="open" if event.total else "paid",
        lines=event.lines,
        currency=event.total.currency,
        total_minor=event.total.amount_minor,
        carried_minor=event.carried.amount_minor,
        period_starts_at=event.period.starts_at if event.period else None,
        period_ends_at=event.period.ends_at if event.period else None,
        issued_at=at,
        due_at=event.due_at,
        settled_at=None if event.total else at,
    )


def _after(row: Invoice, event: Event, at: datetime) -> Invoice:
    match event:
        case PaymentRequested(attempt=attempt):
            return replace(row, attempts=attempt, retry_at=None)
        case PaymentSucceeded(charge_id=charge_id, amount=amount):
            payments = {**row.payments, charge_id: amount.amount_minor}
            paid = replace(row, payments=payments, paid_minor=sum(payments.values()), retry_at=None)
            return replace(paid, status="paid", settled_at=at) if row.status == "open" else paid
        case PaymentFailed(code=code, retry_at=retry_at):
            return replace(row, failure_code=code, retry_at=retry_at)
        case InvoiceVoided(reason=reason):
            return replace(row, status="void", settled_at=at, void_reason=reason, retry_at=None)
        case RefundIssued(refund_id=refund_id, amount=amount):
            refunds = {**row.refunds, refund_id: amount.amount_minor}
            return replace(row, refunds=refunds, refunded_minor=sum(refunds.values()))
        case _:
            return row
