"""Dead letters: what the engine makes of a record that a view or its store cannot take, and where it sends it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from events.envelope import CONTENT_TYPE, DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, Event, encode
from events.operations import RecordDeadLettered
from events.registry import dataschema_of, type_of
from events.topics import dead_letters_of
from infra.clock import Clock, utc_now
from infra.kafka import new_producer
from infra.settings import Settings
from projections.errors import StoreUnavailable
from projections.slabs import Partition, Record

DETAIL_MAX_CHARS: Final = 2_000
BODY_MAX_BYTES: Final = 512 * 1024
"""A larger body stays where it is, in its topic: in base64 the letter would be too large for Kafka."""
TYPE: Final = type_of(RecordDeadLettered)


class Reason(StrEnum):
    """Why a record was set aside."""

    UNDECODABLE = "undecodable"
    UNKNOWN_TYPE = "unknown_type"
    NO_POSITION = "no_position"
    FOLD_FAILED = "fold_failed"
    STORE_REFUSED = "store_refused"


class Letter(msgspec.Struct, frozen=True):
    """A record that is set aside, and why."""

    partition: Partition
    record: Record
    reason: Reason
    detail: str


class Letters(Protocol):
    """Where dead letters go."""

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        """Keep the letters; done when they are safe. Raises StoreUnavailable."""


class KafkaLetters:
    """Sends letters to their topics' dead-letter topics. The producer is started by the first."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self._settings = settings
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        """Produce the letters and wait until Kafka has them."""
        try:
            producer = await self._started()
            for letter in letters:
                await producer.send_and_wait(
                    dead_letters_of(letter.partition.topic),
                    encode(self.envelope(projection, letter)),
                    key=letter.partition.topic.encode(),
                    headers=[("content-type", CONTENT_TYPE.encode())],
                )
        except (KafkaError, OSError) as error:
            raise StoreUnavailable(f"dead letters cannot be sent: {error!r}") from error

    async def close(self) -> None:
        """Stop the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    def envelope(self, projection: str, letter: Letter) -> Envelope[Event]:
        """The letter as an event. Its id names the record, so that a letter that is sent again is the same one."""
        now, topic = self._clock(), letter.partition.topic
        place = f"{projection}/{topic}/{letter.partition.partition}/{letter.record.offset}"
        return Envelope(
            specversion=SPEC_VERSION,
            id=place,
            source=f"/projections/{projection}",
            type=TYPE,
            subject=place,
            time=now,
            recordedtime=now,
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=dataschema_of(TYPE),
            partitionkey=topic,
            data=_event(projection, letter),
        )

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = new_producer(self._settings)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


def _event(projection: str, letter: Letter) -> RecordDeadLettered:
    body = letter.record.value or b""
    detail = letter.detail
    if len(body) > BODY_MAX_BYTES:
        detail, body = f"{detail} (its {len(body)} bytes are left in the topic)", b""
    return RecordDeadLettered(
        projection=projection,
        topic=letter.partition.topic,
        partition=letter.partition.partition,
        offset=letter.record.offset,
        reason=letter.reason,
        detail=detail.replace("\0", "\\0")[:DETAIL_MAX_CHARS],  # Postgres keeps no NUL in a text
        key=letter.record.key,
        body=body,
    )
