"""What an account holds, in Redis: its subscription and its purchases, so that continue watching knows in the round
trip that reads it what may be played. Redis hash account_holdings:{account}.
"""

from datetime import datetime
from typing import Final

import msgspec

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import AccountEvent, LifecycleEvent, PurchaseEvent
from events.topics import SUBSCRIPTION
from projections.subscription.purchases import Purchase, Purchases
from projections.subscription.subscriptions import Subscription, Subscriptions
from projections.views import HashView, Shelf

THE_SUBSCRIPTION: Final = "subscription"
OF_LIFE: Final = members(LifecycleEvent)


class Holding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row: the one or the other, as its own view has it."""

    subscription: Subscription | None = None
    purchase: Purchase | None = None
    updated_at: datetime


class AccountHoldings(HashView[Holding]):
    """The folds of the views subscriptions and subscription_purchases, by account."""

    name = "account_holdings"
    row = Holding
    topics = (SUBSCRIPTION,)
    events = (*OF_LIFE, *members(PurchaseEvent))

    def __init__(self, *, most_rows: int, ttl_s: int) -> None:
        self.most_rows = most_rows
        self.ttl_s = ttl_s
        self._subscriptions = Subscriptions()
        self._purchases = Purchases()

    def updated_at(self, row: Holding) -> datetime:
        """When something last happened to it."""
        return row.updated_at

    def key(self, recorded: Recorded[Event]) -> Shelf:
        """The account, and which of what it holds."""
        event = recorded.data
        assert isinstance(event, AccountEvent)
        return Shelf(
            event.account_id, THE_SUBSCRIPTION if isinstance(event, OF_LIFE) else self._purchases.key(recorded)
        )

    def project(self, row: Holding | None, recorded: Recorded[Event]) -> Holding | None:
        """The row as the fold of its own view leaves it."""
        if isinstance(recorded.data, OF_LIFE):
            before = row.subscription if row else None
            after = self._subscriptions.project(before, recorded)
            changed = after is not before and Holding(subscription=after, updated_at=recorded.envelope.time)
        else:
            owned = row.purchase if row else None
            purchase = self._purchases.project(owned, recorded)
            changed = purchase is not owned and Holding(purchase=purchase, updated_at=recorded.envelope.time)
        return changed or row
