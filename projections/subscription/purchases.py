"""Purchases in Postgres: titles rented or bought, with the moments from which access is computed when asked."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import PurchaseEvent, PurchaseGranted, PurchaseRevoked, PurchaseStarted, RentalStarted
from events.topics import SUBSCRIPTION
from projections.views import KeyedView

PurchaseStatus: TypeAlias = Literal["pending", "granted", "revoked"]


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `access_until`: None for good, or until the rental is started."""

    purchase_id: str
    account_id: str
    offer_id: str
    kind: str
    title_id: str
    title_name: str
    currency: str
    price_minor: int
    status: PurchaseStatus
    purchased_at: datetime
    access_from: datetime | None = None
    start_by: datetime | None = None
    started_at: datetime | None = None
    access_until: datetime | None = None
    revoked_reason: str | None = None


class Purchases(KeyedView[Purchase, str]):
    """One row a purchase."""

    name = "subscription_purchases"
    row = Purchase
    topics = (SUBSCRIPTION,)
    events = members(PurchaseEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The purchase."""
        event = recorded.data
        assert isinstance(event, PurchaseEvent)
        return event.purchase_id

    def project(self, row: Purchase | None, recorded: Recorded[Event]) -> Purchase | None:
        """The purchase after it was started, granted, played or revoked."""
        at = recorded.envelope.time
        match recorded.data:
            case PurchaseStarted() as started:
                return _started(started, at)
            case PurchaseGranted() as granted if row is not None:
                return replace(
                    row,
                    status="granted",
                    access_from=granted.access_from,
                    start_by=granted.start_by,
                    access_until=granted.access_until,
                )
            case RentalStarted(access_until=access_until) if row is not None:
                return replace(row, started_at=at, access_until=access_until)
            case PurchaseRevoked(reason=reason) if row is not None:
                return replace(row, status="revoked", revoked_reason=reason)
            case _:
                return row


def _started(event: PurchaseStarted, at: datetime) -> Purchase:
    offer = event.offer
    return Purchase(
        purchase_id=event.purchase_id,
        account_id=event.account_id,
        offer_id=offer.offer_id,
        kind=offer.kind,
        title_id=offer.title_id,
        title_name=offer.title_name,
        currency=event.price.currency,
        price_minor=event.price.amount_minor,
        status="pending",
        purchased_at=at,
    )
