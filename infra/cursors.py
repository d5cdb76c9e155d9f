"""Page cursors: where the next keyset page begins, signed so that only what Playhead handed out comes back.

A cursor is good for one listing: `scope` (the view and whatever selects its rows) is signed with it and not in it.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from infra.http.problems import ProblemKind, Problems, Refusal

MAX_CHARS: Final = 1024
SIGNATURE_BYTES: Final = 16
KEYS_DERIVED: Final = 64

K = TypeVar("K", bound=msgspec.Struct)


class BadCursor(Refusal):
    """The cursor was not handed out for this listing, or was changed on its way."""


CURSOR_INVALID = ProblemKind(400, "cursor-invalid", "The cursor does not belong to this listing")
PROBLEMS: Final[Problems] = {BadCursor: CURSOR_INVALID}


class Cursors:
    """Signs and reads cursors with keys of its own, derived from `keys` (the installation's internal ones): all are
    read, and the first signs.
    """

    def __init__(self, keys: bytes | Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys if callable(keys) else lambda: (keys,)

    def sign(self, scope: str, after: msgspec.Struct) -> str:
        """The cursor for the rows that follow `after`."""
        body = msgspec.json.encode(after)
        signature = _signature(_derived(self._keys()[0]), scope, body)
        return urlsafe_b64encode(signature + body).rstrip(b"=").decode()

    def read(self, scope: str, cursor: str, key_class: type[K]) -> K:
        """The key that a cursor holds. Raises BadCursor."""
        signed = _decode(cursor)
        signature, body = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
        made = (_signature(_derived(key), scope, body) for key in self._keys())
        if not any(hmac.compare_digest(signature, each) for each in made):
            raise _bad()
        try:
            return msgspec.json.decode(body, type=key_class)
        except msgspec.DecodeError as error:  # signed by another version of Playhead
            raise _bad() from error


@lru_cache(maxsize=KEYS_DERIVED)
def _derived(key: bytes) -> bytes:
    return hmac.digest(key, b"playhead page cursors", sha256)


def _signature(key: bytes, scope: str, body: bytes) -> bytes:
    scope_bytes = scope.encode()
    message = len(scope_bytes).to_bytes(4, "big") + scope_bytes + body
    return hmac.digest(key, message, sha256)[:SIGNATURE_BYTES]


def _decode(cursor: str) -> bytes:
    if len(cursor) > MAX_CHARS or not cursor.isascii():
        raise _bad()
    try:
        signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except Base64Error as error:
        raise _bad() from error
    if urlsafe_b64encode(signed).rstrip(b"=").decode() != cursor:  # base64 has several spellings; ours is the only one
        raise _bad()
    return signed


def _bad() -> BadCursor:
    return BadCursor("Send back a next_cursor as it was received, with the same filters, or start without a cursor.")
