"""What staff did, in Postgres: every event of a command of theirs, of whatever context, with who, when, from where and
what it changed.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.catalog import CatalogEvent
from events.envelope import Event, Recorded
from events.identity import IdentityEvent
from events.operations import DeadLetterRetried, OperationsEvent
from events.registry import members
from events.subscription import SubscriptionEvent
from events.topics import CATALOG, IDENTITY, OPERATIONS, SUBSCRIPTION
from projections.views import KeyedView


class StaffAction(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `version`: the event's place in its stream. `change` and `data`: JSON, as they stand in the log."""

    event_id: str
    at: datetime
    principal: str
    client_address: str
    type: str
    stream_id: str
    version: int
    correlation_id: str | None
    change: str | None
    data: str


class StaffActions(KeyedView[StaffAction, str]):
    """One row for each event that staff recorded; none for those of viewers, processes and the payment provider."""

    name = "operations_staff_actions"
    row = StaffAction
    topics = (CATALOG, IDENTITY, OPERATIONS, SUBSCRIPTION)
    events = (*members(CatalogEvent), *members(IdentityEvent), *members(OperationsEvent), *members(SubscriptionEvent))

    def key(self, recorded: Recorded[Event]) -> str:
        """The event."""
        return recorded.envelope.id

    def project(self, row: StaffAction | None, recorded: Recorded[Event]) -> StaffAction | None:
        """The event as a row, if staff recorded it: theirs alone say where from."""
        envelope = recorded.envelope
        if envelope.clientaddress is None:
            return row
        return StaffAction(
            event_id=envelope.id,
            at=envelope.time,
            principal=envelope.principal or "",
            client_address=envelope.clientaddress,
            type=envelope.type,
            stream_id=envelope.subject,
            version=envelope.sequence or 0,
            correlation_id=envelope.correlationid,
            change=envelope.change,
            data=_data_of(recorded),
        )


def _data_of(recorded: Recorded[Event]) -> str:
    """As it stands in the log, but for the record inside of a retry: that is in its letter."""
    event = recorded.data
    if isinstance(event, DeadLetterRetried):
        return msgspec.json.encode(replace(event, body=b"", headers=())).decode()
    return bytes(recorded.envelope.data).decode()
