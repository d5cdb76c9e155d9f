"""Every event type by its name on the wire, and the way from its bytes to the class that readers fold.

A published version never changes. Another shape is a new class (PlaybackPausedV2) and an upcaster from the old one.
"""

import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import msgspec

from events import catalog, identity, operations, playback, subscription
from events.envelope import Envelope, Event, Recorded, decode

_VERSIONED = re.compile(r"(?P<name>[A-Za-z]+?)(?:V(?P<version>\d+))?")


class UnknownEventType(ValueError):
    """No class is registered for the type on a record."""


def type_of(event_class: type[Event]) -> str:
    """The type on the wire, mechanical from the class: events.playback.PlaybackPausedV2 ->
    playback.PlaybackPaused.v2.
    """
    context = event_class.__module__.rpartition(".")[2]
    match = _VERSIONED.fullmatch(event_class.__name__)
    assert match is not None, event_class.__name__
    return f"{context}.{match['name']}.v{match['version'] or 1}"


def dataschema_of(type_name: str) -> str:
    """Where the schema of a type is, relative to the repository (and to the published schemas)."""
    context, name, version = type_name.split(".")
    return f"/schemas/{context}/{name}.{version}.json"


def members(union: types.UnionType) -> tuple[type[Event], ...]:
    """The classes of a union of events."""
    return get_args(union)


Upcaster = Callable[[Any], Event]  # takes one old event class, each its own; nothing narrower types a table of them


class Registry:
    """The event types that a process understands."""

    def __init__(
        self, event_classes: Iterable[type[Event]], upcasters: Mapping[type[Event], Upcaster] | None = None
    ) -> None:
        self.classes = {type_of(event_class): event_class for event_class in event_classes}
        self._decoders = {name: msgspec.json.Decoder(cls) for name, cls in self.classes.items()}
        self._upcasters = dict(upcasters or {})

    def decode(self, body: bytes) -> Recorded[Event]:
        """A record's bytes as an event of the newest version.

        Raises UnknownEventType, msgspec.DecodeError or msgspec.ValidationError.
        """
        envelope = decode(body)
        return Recorded(envelope, self.decode_data(envelope))

    def decode_data(self, envelope: Envelope[msgspec.Raw]) -> Event:
        """The event inside an envelope, brought to its newest version."""
        decoder = self._decoders.get(envelope.type)
        if decoder is None:
            raise UnknownEventType(envelope.type)
        event: Event = decoder.decode(envelope.data)
        while upcast := self._upcasters.get(type(event)):
            event = upcast(event)
        return event


REGISTRY = Registry(
    (
        *members(catalog.CatalogEvent),
        *members(identity.IdentityEvent),
        *members(playback.PlaybackEvent),
        *members(subscription.SubscriptionEvent),
        *members(operations.LetterEvent),
        *members(operations.OperationsEvent),
    )
)
