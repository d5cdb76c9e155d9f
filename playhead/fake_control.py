"""What is said at the fake provider's /control routes: rules to it, its books and its webhooks back."""

import msgspec

from infra.payments.provider import Charge, Refund
from infra.payments.rules import Rule
from playhead.fake_webhooks import Delivery


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /control/rules: these instead of those in force."""

    rules: list[Rule] = msgspec.field(default_factory=list)
    seed: int = 0


class Booked(msgspec.Struct, frozen=True):
    """A row of GET /control/charges: a charge as it stands, whose it is, and under which key it was asked."""

    account_id: str
    idempotency_key: str
    charge: Charge


class Everything(msgspec.Struct, frozen=True):
    """GET /control/charges: a page of both, and how many there are."""

    charges: list[Booked]
    refunds: list[Refund]
    charges_total: int
    refunds_total: int


class Deliveries(msgspec.Struct, frozen=True):
    """GET /control/webhooks: what was tried, oldest first, and how many wait."""

    tried: list[Delivery]
    waiting: int
