"""Transactions in Postgres: what the payment provider took, declined and gave back."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import (
    PaymentFailed,
    PaymentSucceeded,
    RefundEvent,
    RefundFailed,
    RefundIssued,
    RefundRequested,
)
from events.topics import SUBSCRIPTION
from events.types import Money
from projections.views import KeyedView

TransactionStatus: TypeAlias = Literal["pending", "succeeded", "failed"]


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `transaction_id`: the charge's, or our refund's. A declined charge has no amount: nothing moved."""

    transaction_id: str
    account_id: str
    invoice_id: str
    kind: Literal["charge", "refund"]
    status: TransactionStatus
    currency: str | None = None
    amount_minor: int | None = None
    charge_id: str | None = None
    code: str | None = None
    reason: str | None = None
    at: datetime
    settled_at: datetime | None = None


class Transactions(KeyedView[Transaction, str]):
    """One row a charge that the provider answered, and one a refund that was asked for."""

    name = "subscription_transactions"
    row = Transaction
    topics = (SUBSCRIPTION,)
    events = (PaymentSucceeded, PaymentFailed, *members(RefundEvent))

    def key(self, recorded: Recorded[Event]) -> str:
        """The charge, or the refund; an attempt that never came to a charge is named after itself."""
        match recorded.data:
            case PaymentSucceeded(charge_id=charge_id):
                return charge_id
            case PaymentFailed() as failed:
                return failed.charge_id or f"{failed.invoice_id}/{failed.attempt}"
            case RefundRequested() | RefundIssued() | RefundFailed() as refund:
                return refund.refund_id
            case other:
                raise TypeError(other)

    def project(self, row: Transaction | None, recorded: Recorded[Event]) -> Transaction | None:
        """The transaction after its news."""
        at = recorded.envelope.time
        match recorded.data:
            case PaymentSucceeded() as paid:
                return _charge(paid, row.at if row else at, at, status="succeeded", amount=paid.amount)
            case PaymentFailed() as failed:
                return _charge(failed, at, at, status="failed", code=failed.code)
            case RefundRequested() as asked:
                return _refund(asked, at)
            case RefundIssued() if row is not None:
                return replace(row, status="succeeded", settled_at=at)
            case RefundFailed() if row is not None:
                return replace(row, status="failed", settled_at=at)
            case _:
                return row


def _charge(
    event: PaymentSucceeded | PaymentFailed,
    at: datetime,
    settled_at: datetime,
    *,
    status: TransactionStatus,
    amount: Money | None = None,
    code: str | None = None,
) -> Transaction:
    return Transaction(
        transaction_id=event.charge_id or f"{event.invoice_id}/{event.attempt}",
        account_id=event.account_id,
        invoice_id=event.invoice_id,
        kind="charge",
        status=status,
        currency=amount.currency if amount else None,
        amount_minor=amount.amount_minor if amount else None,
        charge_id=event.charge_id,
        code=code,
        at=at,
        settled_at=settled_at,
    )


def _refund(event: RefundRequested, at: datetime) -> Transaction:
    return Transaction(
        transaction_id=event.refund_id,
        account_id=event.account_id,
        invoice_id=event.invoice_id,
        kind="refund",
        status="pending",
        currency=event.amount.currency,
        amount_minor=event.amount.amount_minor,
        charge_id=event.charge_id,
        reason=event.reason,
        at=at,
    )
