"""Retries of dead letters: operators' events whose records the engine gives to the views that did not take them before.

The record is folded beside what is new, in one round with the checkpoint of the event that asks for it; its own
partition's checkpoint is locked with them, so that the worker that writes the rows of its key waits (ADR 20).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from events.envelope import decode
from events.operations import DeadLetterRetried
from events.registry import REGISTRY, UnknownEventType
from events.topics import OPERATIONS
from projections.slabs import LANES, Partition, Record, Slab


class KeptRecord(msgspec.Struct, frozen=True):
    """A record as its letter keeps it; see Record."""

    offset: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None


class Retry(NamedTuple):
    """A record to be tried again, for these views; none named is all of them. `partition`: the record's own."""

    partition: Partition
    record: Record
    views: tuple[str, ...]
    attempt: int


Retries: TypeAlias = Mapping[tuple[Partition, int], Retry]
"""By where the event stands that asks for it."""


def retries_in(slabs: Iterable[Slab], projection: str) -> dict[tuple[Partition, int], Retry]:
    """What slabs of the operations topic ask of a projection."""
    asked = {}
    for slab in slabs:
        if slab.partition.topic == OPERATIONS.name:
            for record in slab.records:
                event = _retried(record)
                if event is not None and event.projection == projection and event.topic in LANES:
                    asked[slab.partition, record.offset] = _retry(event)
    return asked


def _retried(record: Record) -> DeadLetterRetried | None:
    """The event of a record, if it is one; whatever else it is, the intake tells."""
    try:
        event = REGISTRY.decode_data(decode(record.value or b""))
    except (UnknownEventType, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return event if isinstance(event, DeadLetterRetried) else None


def _retry(event: DeadLetterRetried) -> Retry:
    record = KeptRecord(event.offset, event.body, event.headers)
    return Retry(Partition(event.topic, event.partition), record, event.views, event.attempt)
