"""The history of each account's subscription in Postgres: the events of its stream, as they were recorded."""

from datetime import datetime

import msgspec

from events.envelope import Event, Recorded
from events.registry import members
from events.subscription import AccountEvent, InvoiceEvent, LifecycleEvent
from events.topics import SUBSCRIPTION
from projections.views import KeyedView


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `version`: the event's place in its stream. `data`: JSON, as it stands in the log."""

    event_id: str
    account_id: str
    version: int
    type: str
    at: datetime
    principal: str | None
    data: str


class SubscriptionHistory(KeyedView[HistoryEvent, str]):
    """One row for each event of an account's stream."""

    name = "subscription_history"
    row = HistoryEvent
    topics = (SUBSCRIPTION,)
    events = members(LifecycleEvent | InvoiceEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The event."""
        return recorded.envelope.id

    def project(self, row: HistoryEvent | None, recorded: Recorded[Event]) -> HistoryEvent | None:
        """The event as a row; a purchase's invoice belongs to another stream."""
        envelope, event = recorded.envelope, recorded.data
        assert isinstance(event, AccountEvent)
        if not envelope.subject.startswith("subscription.account-"):
            return row
        return HistoryEvent(
            event_id=envelope.id,
            account_id=event.account_id,
            version=envelope.sequence or 0,
            type=type(event).__name__,
            at=envelope.time,
            principal=envelope.principal,
            data=bytes(envelope.data).decode(),
        )
