"""One stream as a command finds it: its snapshot, its events since, and where they stand."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
from msgspec import structs

from events.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, Context, Envelope, Event, Recorded, encode
from events.registry import REGISTRY, dataschema_of, type_of
from events.topics import topic_of
from infra.ids import new_uuid
from infra.positions import Position


class Snapshot(NamedTuple):
    """A state that was folded before, as bytes, at a version."""

    version: int
    state: bytes


class Stream:
    """A stream whose lock is held. `version` and `place`: of its last event; 0 and "" for none. `place` is a position
    token. `events`: those after the snapshot, or all.
    """

    def __init__(self, stream_id: str, partition: int, rows: Sequence[asyncpg.Record]) -> None:
        self.stream_id = stream_id
        self.partition = partition
        self.snapshot: Snapshot | None = None
        self.events: list[Recorded[Event]] = []
        self.version = 0
        self.place = ""
        for row in rows:
            self._take(row)
        if self.events:  # rows end with the last of them
            topic = topic_of(self.events[-1].envelope.type).name
            self.place = str(Position(topic, partition, int(rows[-1]["place"])))

    def _take(self, row: asyncpg.Record) -> None:
        self.version = row["version"]
        if row["kind"] == "snapshot":
            self.snapshot = Snapshot(row["version"], row["body"])
            self.place = row["place"]
        else:
            self.events.append(REGISTRY.decode(row["body"]))


class Appended(NamedTuple):
    """Events made ready for append_events()."""

    ids: list[UUID]
    types: list[str]
    bodies: list[bytes]

    @classmethod
    def after(
        cls, stream: Stream, events: Sequence[Event], context: Context, now: datetime, *, change: str | None = None
    ) -> "Appended":
        """The next events of a stream. Caused by what the context names, else by the event that the decision
        followed. `change`: what they changed together, which the last of them carries.
        """
        if context.causation_id is None and stream.events:
            context = structs.replace(context, causation_id=stream.events[-1].envelope.id)
        ids = [new_uuid() for _ in events]
        types = [type_of(type(event)) for event in events]
        envelopes = [
            _envelope(event, event_id, stream.stream_id, version, context, now)
            for version, (event, event_id) in enumerate(zip(events, ids, strict=True), stream.version + 1)
        ]
        if change is not None:
            envelopes[-1] = structs.replace(envelopes[-1], change=change)
        bodies = [encode(envelope) for envelope in envelopes]
        return cls(ids, types, bodies)


def _envelope(
    event: Event, event_id: UUID, stream_id: str, version: int, context: Context, now: datetime
) -> Envelope[Event]:
    type_name = type_of(type(event))
    return Envelope(
        specversion=SPEC_VERSION,
        id=str(event_id),
        source=f"/{type_name.partition('.')[0]}",
        type=type_name,
        subject=stream_id,
        time=now,
        recordedtime=now,
        datacontenttype=DATA_CONTENT_TYPE,
        dataschema=dataschema_of(type_name),
        partitionkey=stream_id,
        sequence=version,
        correlationid=context.correlation_id,
        causationid=context.causation_id,
        traceparent=context.traceparent,
        principal=context.principal,
        clientaddress=context.client_address,
        data=event,
    )
