"""The position token (header Playhead-Position): how far a reader must have read to see a write.

`catalog.events:3:17` is position 17 of partition 3: the event log's position in a relayed topic, Kafka's offset in
the others. Several, separated by commas, must all be reached.
"""

from typing import NamedTuple

HEADER = "Playhead-Position"
MOST_POSITIONS = 16


class Position(NamedTuple):
    """One place in one partition of a topic."""

    topic: str
    partition: int
    position: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.position}"


class BadPosition(ValueError):
    """The token cannot be read."""


def format_positions(positions: list[Position]) -> str:
    """The header's value."""
    return ",".join(map(str, positions))


def parse_positions(header: str) -> list[Position]:
    """The positions in a header. Raises BadPosition."""
    parts = header.split(",")
    if len(parts) > MOST_POSITIONS:
        raise BadPosition(f"at most {MOST_POSITIONS} positions, got {len(parts)}")
    return [_parse(part.strip()) for part in parts]


def _parse(text: str) -> Position:
    topic, *numbers = text.split(":")
    if len(numbers) != 2 or not topic or not all(n.isascii() and n.isdigit() and len(n) < 19 for n in numbers):
        raise BadPosition(f"not a position: {text[:80]!r}; send back what a reply's {HEADER} header held")
    return Position(topic, int(numbers[0]), int(numbers[1]))
