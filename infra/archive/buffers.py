"""What the archiver has fetched and not yet written, by partition, and when it is to be written. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from infra.settings import Settings

RECORD_BYTES = 700
"""What a fetched record takes beside its key and value."""


class Held:
    """Records of one partition, in order. `since_s`: when the oldest was fetched, monotonic."""

    def __init__(self, since_s: float) -> None:
        self.messages: list[Any] = []
        self.bytes = 0
        self.since_s = since_s


class Limits(NamedTuple):
    """When records are written: at so many, so many bytes or so old, and what may be held of all partitions."""

    records: int
    bytes: int
    age_s: float
    all_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Those that are configured."""
        return cls(
            settings.archive_file_max_records,
            settings.archive_file_max_bytes,
            settings.archive_file_max_age_s,
            settings.archive_buffer_max_bytes,
        )


class Buffers:
    """The records held of all partitions."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: dict[TopicPartition, Held] = {}
        self.bytes = 0

    def add(self, place: TopicPartition, messages: Sequence[Any], now_s: float) -> None:
        """Take what was fetched of a partition."""
        held = self._held.setdefault(place, Held(now_s))
        size = sum(len(each.value or b"") + len(each.key or b"") + RECORD_BYTES for each in messages)
        held.messages += messages
        held.bytes += size
        self.bytes += size

    def due(self, now_s: float) -> list[TopicPartition]:
        """The partitions to be written now: those that are full or old, and the largest ones while all are too much."""
        limits = self._limits
        due = [
            place
            for place, held in self._held.items()
            if len(held.messages) >= limits.records
            or held.bytes >= limits.bytes
            or now_s - held.since_s >= limits.age_s
        ]
        left = self.bytes - sum(self._held[place].bytes for place in due)
        largest = sorted(self._held.keys() - due, key=lambda place: self._held[place].bytes)
        while left > limits.all_bytes:
            place = largest.pop()
            due.append(place)
            left -= self._held[place].bytes
        return due

    def places(self) -> list[TopicPartition]:
        """The partitions of which something is held."""
        return list(self._held)

    def take(self, place: TopicPartition) -> list[Any]:
        """The records of a partition, which are not held any more."""
        held = self._held.pop(place, None)
        if held is None:
            return []
        self.bytes -= held.bytes
        return held.messages

    def oldest_ms(self, place: TopicPartition) -> int | None:
        """When the oldest that is held of a partition was produced; None for none."""
        held = self._held.get(place)
        return held.messages[0].timestamp if held else None
