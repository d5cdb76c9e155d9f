"""What is set aside of a backfill's topic: records that no view could take. They are dead-lettered like a projection's,
and never hold up or skip their neighbours.
"""

from datetime import datetime
from typing import Final, Protocol

import msgspec

from events.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, encode
from events.operations import RecordDeadLettered
from events.registry import REGISTRY, UnknownEventType, dataschema_of, type_of
from events.topics import BACKFILL, PLAYBACK, topic_of

NAME: Final = "backfill"
"""In the place of a projection."""
TYPE: Final = type_of(RecordDeadLettered)
DETAIL_MAX_CHARS: Final = 2_000
BODY_MAX_BYTES: Final = 512 * 1024


class Record(Protocol):
    """A record of the topic, as aiokafka reads it."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


def fault_of(record: Record) -> tuple[str, str] | None:
    """Why a record is not moved, and the details; None for a good one."""
    try:
        recorded = REGISTRY.decode(record.value or b"")
    except UnknownEventType as error:
        return "unknown_type", str(error)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return "undecodable", str(error)
    envelope = recorded.envelope
    if envelope.type.partition(".")[0] != "playback" or topic_of(envelope.type) is not PLAYBACK:
        return "misplaced", f"{envelope.type} is no event of {PLAYBACK.name}"
    if record.key != envelope.partitionkey.encode():
        return "misplaced", f"the record's key is not {envelope.partitionkey!r}"
    return None


def letter_of(record: Record, reason: str, detail: str, now: datetime) -> bytes:
    """A record set aside, as an event. Its id names the record, so that a letter that is sent again is the same one."""
    place = f"{NAME}/{BACKFILL.name}/{record.partition}/{record.offset}"
    body = record.value or b""
    if len(body) > BODY_MAX_BYTES:
        detail, body = f"{detail} (its {len(body)} bytes are left in the topic)", b""
    return encode(
        Envelope(
            specversion=SPEC_VERSION,
            id=place,
            source=f"/playback/{NAME}",
            type=TYPE,
            subject=place,
            time=now,
            recordedtime=now,
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=dataschema_of(TYPE),
            partitionkey=BACKFILL.name,
            data=RecordDeadLettered(
                projection=NAME,
                topic=BACKFILL.name,
                partition=record.partition,
                offset=record.offset,
                reason=reason,
                detail=detail.replace("\0", "\\0")[:DETAIL_MAX_CHARS],
                key=record.key,
                body=body,
            ),
        )
    )
