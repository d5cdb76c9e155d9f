"""The port: what Playhead asks of a payment provider, and what the provider tells.

Two ways to know how a charge ended: the reply, and a webhook. Either may be lost, late or repeated, so a caller keeps
its idempotency key before it asks, and takes the same news from both.
"""

from typing import Annotated, Literal, Protocol, TypeAlias

from msgspec import Meta, Struct

from events.types import Instant, Money

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
ChargeStatus: TypeAlias = Literal["pending", "succeeded", "declined"]
RefundStatus: TypeAlias = Literal["pending", "succeeded", "failed"]
WebhookType: TypeAlias = Literal["charge.succeeded", "charge.declined", "refund.succeeded", "refund.failed"]


class ProviderUnavailable(Exception):
    """The provider did not answer: what was asked may have happened. Ask again later, under the same key.

    `retry_after_s`: how much later, when the provider said so.
    """

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class ProviderRefused(Exception):
    """The provider answered that the request is wrong: our mistake, and asking again changes nothing."""


class ProviderContradicted(ProviderRefused):
    """The provider answered for another amount, currency, invoice or charge than it was asked: a person must look."""


class ChargeRequest(Struct, frozen=True, kw_only=True):
    """Take this amount from an account's stored payment method. `reference` is the invoice."""

    idempotency_key: Name
    account_id: Name
    reference: Name
    amount: Money
    description: str = ""


class Charge(Struct, frozen=True, kw_only=True):
    """What became of a charge. `decline_code` says why a declined one was: insufficient_funds, expired_card, ..."""

    charge_id: Name
    reference: Name
    status: ChargeStatus
    amount: Money
    decline_code: Name | None = None


class RefundRequest(Struct, frozen=True, kw_only=True):
    """Give back some or all of a charge. `reference` is the invoice."""

    idempotency_key: Name
    charge_id: Name
    reference: Name
    amount: Money


class Refund(Struct, frozen=True, kw_only=True):
    """What became of a refund."""

    refund_id: Name
    charge_id: Name
    status: RefundStatus
    amount: Money


class WebhookEvent(Struct, frozen=True, kw_only=True):
    """News of a charge or a refund. `event_id` is the same each time that the provider sends it."""

    event_id: Name
    type: WebhookType
    reference: Name
    charge_id: Name
    amount: Money
    occurred_at: Instant
    refund_id: Name | None = None
    decline_code: Name | None = None


class PaymentProvider(Protocol):
    """Who takes and gives back money. Every method raises ProviderUnavailable or ProviderRefused."""

    async def charge(self, request: ChargeRequest) -> Charge:
        """Charge once for a key, however often it is asked; the same key with another request is refused."""
        ...

    async def refund(self, request: RefundRequest) -> Refund:
        """Refund once for a key, however often it is asked."""
        ...

    async def find_charge(self, idempotency_key: str) -> Charge | None:
        """The charge made under a key, as it stands now; None when the provider made none."""
        ...
