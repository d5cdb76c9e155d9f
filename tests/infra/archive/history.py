"""Records for archives, as Kafka would hold them."""

from datetime import UTC, datetime, timedelta

from events.envelope import Envelope, Event, encode
from infra.archive.records import Record
from tests.builders import playback_started, session

TOPIC = "playback.events"
EVENING = datetime(2026, 11, 20, 19, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def started(number: int) -> Envelope[Event]:
    """A session's beginning, a second after the one before."""
    return playback_started(session(f"session-{number}", profile_id=f"profile-{number % 3}"))


def record(offset: int, *, at: datetime | None = None, partition: int = 0, value: bytes | None = None) -> Record:
    """A record of playback, second after second."""
    when = at or EVENING + timedelta(seconds=offset)
    body = encode(started(offset)) if value is None else value
    time_us = micros(when)
    return Record(TOPIC, partition, offset, time_us, time_us // 1000, b"profile", body, None, ())


def records(first: int, end: int, partition: int = 0) -> list[Record]:
    """Those of a range of offsets."""
    return [record(offset, partition=partition) for offset in range(first, end)]
