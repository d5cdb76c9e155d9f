"""The CloudEvents 1.0 envelope: what every record on Kafka and every row of the event log holds.

The bytes made here are the bytes that are produced, stored, hashed and archived; nothing serialises them again.
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

CONTENT_TYPE = "application/cloudevents+json"
SPEC_VERSION = "1.0"
DATA_CONTENT_TYPE = "application/json"
UNKNOWN_ADDRESS = "unknown"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact, named in the past tense. Its type on the wire comes from its class: see registry.type_of()."""


D = TypeVar("D")
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Envelope(msgspec.Struct, Generic[D], frozen=True, kw_only=True, omit_defaults=True):
    """The attributes around an event, in CloudEvents' spelling (lower case, no separators).

    `time` is when it happened, corrected for the reporter's clock; `recordedtime` when Playhead took it. `sequence`
    is the version in the event's stream, only for events that come from the event log.

    `clientaddress` and `change` are of staff alone: where they called from, and, on a command's last event in a stream,
    what it changed there, as JSON {"before": ..., "after": ...}. What viewers do carries neither.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    recordedtime: datetime
    datacontenttype: str
    dataschema: str
    partitionkey: str
    sequence: int | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    principal: str | None = None
    clientaddress: str | None = None
    change: str | None = None
    data: D


class Recorded(msgspec.Struct, Generic[E_co], frozen=True, gc=False):
    """A decoded event with the envelope it came in: what deciders evolve by and projections fold."""

    envelope: Envelope[msgspec.Raw]
    data: E_co


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who and what an event is recorded for: carried from the HTTP request into its envelope.

    `client_address`: where a member of staff calls from, UNKNOWN_ADDRESS included; None for everybody else, whose
    events keep neither it nor what changed.
    """

    correlation_id: str
    principal: str | None = None
    client_address: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope[msgspec.Raw])


def encode(envelope: Envelope[Event]) -> bytes:
    """The envelope as structured-mode JSON (content type CONTENT_TYPE)."""
    return _encoder.encode(envelope)


def decode(body: bytes) -> Envelope[msgspec.Raw]:
    """The envelope of a record, its data still bytes. Raises msgspec.DecodeError or ValidationError."""
    return _decoder.decode(body)
