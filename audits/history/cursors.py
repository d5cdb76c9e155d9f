"""Where a page ends, as text that is sent back for the next: the last event, the question, and how far each partition
reached when the first page was begun, so that what is added meanwhile moves nothing.
"""

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Final

import msgspec

from audits.history.asked import Asked
from infra.cursors import BadCursor

MAX_CHARS: Final = 32 * 1024
INFLATED_MAX_BYTES: Final = 256 * 1024
WHY: Final = "Send back a cursor as it was received, with the same question, or start without a cursor."


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """How far a history reaches. `ends`: by topic and partition, the offset after the last record; `heads`: by
    partition of the log, the last position.
    """

    ends: dict[str, dict[int, int]] = {}
    heads: dict[int, int] = {}

    def end(self, topic: str, partition: int) -> int:
        """The offset after a partition's last record."""
        return self.ends.get(topic, {}).get(partition, 0)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The place of the last event that was shown, and what it is a place in. Within its partition an event is found by
    its offset, or, while one of both has none, by its position."""

    question: bytes
    history_time_us: int
    topic: str
    partition: int
    offset: int | None
    position: int | None
    bounds: Bounds

    def is_before(self, offset: int | None, position: int | None) -> bool:
        """Whether a record of the cursor's own partition comes after it."""
        if offset is not None and self.offset is not None:
            return offset > self.offset
        if position is not None and self.position is not None:
            return position > self.position
        return offset is None  # of the two only the log's has no offset, and the log is read beyond all that has one


def question_of(asked: Asked, left_out: frozenset[str]) -> bytes:
    """What a cursor is good for."""
    return asked.digest() + ",".join(sorted(left_out)).encode()


def write(cursor: Cursor) -> str:
    """A cursor as text."""
    return urlsafe_b64encode(zlib.compress(msgspec.msgpack.encode(cursor), 9)).rstrip(b"=").decode()


def read(text: str, question: bytes) -> Cursor:
    """The cursor of a text. Raises BadCursor for one of another question, and for what is none."""
    if len(text) > MAX_CHARS or not text.isascii():
        raise BadCursor(WHY)
    try:
        inflating = zlib.decompressobj()
        packed = inflating.decompress(urlsafe_b64decode(text + "=" * (-len(text) % 4)), INFLATED_MAX_BYTES)
        cursor = msgspec.msgpack.decode(packed, type=Cursor)
    except (Base64Error, zlib.error, msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadCursor(WHY) from error
    if cursor.question != question:
        raise BadCursor(f"The cursor belongs to another question. {WHY}")
    return cursor
