"""What was verified a moment ago, so that a token that comes again costs a look-up."""

from hashlib import blake2b
from typing import Final, NamedTuple

DIGEST_BYTES: Final = 16


class Verified(NamedTuple):
    """What a token says, and until when it holds: epoch seconds."""

    value: object
    expires_at: float


def digest_of(token: str) -> bytes:
    """What a token is remembered by: the tokens themselves would be a gigabyte in a busy process."""
    return blake2b(token.encode(), digest_size=DIGEST_BYTES).digest()


class VerifiedTokens:
    """The tokens verified last, at most about `most`: what was not asked for while half as many came is forgotten. Two
    dictionaries do that at a fraction of what an LRU list costs.
    """

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[bytes, Verified] = {}
        self._old: dict[bytes, Verified] = {}

    def get(self, digest: bytes) -> Verified | None:
        """What is remembered of a token."""
        found = self._young.get(digest)
        if found is None and (found := self._old.get(digest)) is not None:
            self.keep(digest, found)
        return found

    def keep(self, digest: bytes, verified: Verified) -> None:
        """Remember a token."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[digest] = verified

    def clear(self) -> None:
        """Verify all of them again."""
        self._young, self._old = {}, {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
