"""What goes over the line to the payment provider and back: the bodies that the adapter and the fake server share.

A request's idempotency key is its Idempotency-Key header; charges and refunds come back as provider.py has them.
"""

from typing import Final

from msgspec import Struct

from events.types import Money
from infra.payments.provider import Charge, ChargeRequest, Name, RefundRequest

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
CHARGES: Final = "/v1/charges"
REFUNDS: Final = "/v1/refunds"


class ChargeBody(Struct, frozen=True, kw_only=True):
    """POST /v1/charges."""

    account_id: Name
    reference: Name
    amount: Money
    description: str = ""

    @classmethod
    def of(cls, asked: ChargeRequest) -> "ChargeBody":
        """The body of a request."""
        return cls(
            account_id=asked.account_id,
            reference=asked.reference,
            amount=asked.amount,
            description=asked.description,
        )

    def request(self, key: str) -> ChargeRequest:
        """The request that came with this body and key."""
        return ChargeRequest(
            idempotency_key=key,
            account_id=self.account_id,
            reference=self.reference,
            amount=self.amount,
            description=self.description,
        )


class RefundBody(Struct, frozen=True, kw_only=True):
    """POST /v1/refunds."""

    charge_id: Name
    reference: Name
    amount: Money

    @classmethod
    def of(cls, asked: RefundRequest) -> "RefundBody":
        """The body of a request."""
        return cls(charge_id=asked.charge_id, reference=asked.reference, amount=asked.amount)

    def request(self, key: str) -> RefundRequest:
        """The request that came with this body and key."""
        return RefundRequest(
            idempotency_key=key, charge_id=self.charge_id, reference=self.reference, amount=self.amount
        )


class FoundCharges(Struct, frozen=True):
    """GET /v1/charges?idempotency_key=: none or one."""

    charges: list[Charge]
