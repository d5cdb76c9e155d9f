"""Dead letters: what the engine makes of a record that a view or its store cannot take, and where it sends it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from events.envelope import CONTENT_TYPE, DATA_CONTENT_TYPE, SPEC_VERSION, Envelope, Event, encode
from events.operations import DeadLetterApplied, RecordDeadLettered
from events.registry import dataschema_of, type_of
from events.topics import dead_letters_of
from infra.clock import Clock, utc_now
from infra.kafka import new_producer
from infra.settings import Settings
from projections.errors import StoreUnavailable
from projections.retries import Retry
from projections.slabs import Partition, Record

DETAIL_MAX_CHARS: Final = 2_000
BODY_MAX_BYTES: Final = 512 * 1024
"""A larger body stays where it is, in its topic: in base64 the letter would be too large for Kafka."""


class Reason(StrEnum):
    """Why a record was set aside."""

    UNDECODABLE = "undecodable"
    UNKNOWN_TYPE = "unknown_type"
    NO_POSITION = "no_position"
    FOLD_FAILED = "fold_failed"
    STORE_REFUSED = "store_refused"


class Letter(msgspec.Struct, frozen=True):
    """A record that is set aside, and why. `views`: for which of them; none named is all. `attempt`: the retry that
    failed, 0 for a record that was not set aside before.
    """

    partition: Partition
    record: Record
    reason: Reason
    detail: str
    views: tuple[str, ...] = ()
    attempt: int = 0


class Letters(Protocol):
    """Where dead letters go."""

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        """Keep the letters; done when they are safe. Raises StoreUnavailable."""

    async def applied(self, projection: str, retries: Sequence[Retry]) -> None:
        """Say of letters that they are applied now; done when that is safe. Raises StoreUnavailable."""


class KafkaLetters:
    """Sends letters to their topics' dead-letter topics. The producer is started by the first."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self._settings = settings
        self._clock = clock
        self._producer: AIOKafkaProducer | None = None

    async def send(self, projection: str, letters: Sequence[Letter]) -> None:
        """Produce the letters and wait until Kafka has them."""
        await self._produce([self.envelope(projection, letter) for letter in letters])

    async def applied(self, projection: str, retries: Sequence[Retry]) -> None:
        """Produce that they are applied, behind the letters, and wait until Kafka has it."""
        await self._produce([self._envelope(_applied(projection, retry)) for retry in retries])

    async def _produce(self, envelopes: Sequence[Envelope[Event]]) -> None:
        try:
            producer = await self._started()
            for envelope in envelopes:
                await producer.send_and_wait(
                    dead_letters_of(envelope.partitionkey),
                    encode(envelope),
                    key=envelope.partitionkey.encode(),
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
        return self._envelope(_event(projection, letter))

    def _envelope(self, event: RecordDeadLettered | DeadLetterApplied) -> Envelope[Event]:
        now, type_name = self._clock(), type_of(type(event))
        place = f"{event.projection}/{event.topic}/{event.partition}/{event.offset}"
        outcome = "/applied" if isinstance(event, DeadLetterApplied) else ""
        return Envelope(
            specversion=SPEC_VERSION,
            id=f"{place}/{event.attempt}{outcome}" if event.attempt else place,
            source=f"/projections/{event.projection}",
            type=type_name,
            subject=place,
            time=now,
            recordedtime=now,
            datacontenttype=DATA_CONTENT_TYPE,
            dataschema=dataschema_of(type_name),
            partitionkey=event.topic,
            data=event,
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


def _applied(projection: str, retry: Retry) -> DeadLetterApplied:
    return DeadLetterApplied(
        projection=projection,
        topic=retry.partition.topic,
        partition=retry.partition.partition,
        offset=retry.record.offset,
        attempt=retry.attempt,
    )


def _event(projection: str, letter: Letter) -> RecordDeadLettered:
    body = letter.record.value or b""
    detail = letter.detail
    is_left = len(body) > BODY_MAX_BYTES
    if is_left:
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
        views=letter.views,
        headers=tuple((name.replace("\0", "\\0"), value) for name, value in letter.record.headers),
        attempt=letter.attempt,
        body_left=is_left,
    )
