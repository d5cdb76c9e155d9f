"""Replies of continue watching that were made before, for who asks again: a reply is used as long as everything that it
was made of is, byte for byte, what Redis and the catalog say now, and until the moment at which time alone would make
it another. So what is kept is never older than what is read. When only rows have changed, the others are used again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from infra.http.representations import Whole
from query_api.playback.playable import Viewer

ROW_BYTES: Final = 256
"""What a row costs beyond its bytes, about."""
REPLY_BYTES: Final = 1_024
"""What a reply costs beyond what it was made of, about."""


class Asked(NamedTuple):
    """Whose rows a request wants, and for whom; None: for staff."""

    profile_id: str
    viewer: Viewer | None
    limit: int
    with_unplayable: bool = False


class Around(NamedTuple):
    """What every row of a reply depends on: what the account holds, as Redis has it, what was withdrawn, and the
    version of what is known of titles.
    """

    held: list[bytes]
    withdrawn: frozenset[str]
    titles: int


class Read(NamedTuple):
    """All that a reply is made of, but the time. `values`: the profile's rows, as Redis has them; `complete`: those are
    all.
    """

    values: list[bytes]
    around: Around
    complete: bool


class Kept(NamedTuple):
    """A reply. `until_s`: epoch seconds, when an availability, a subscription or a rental begins or ends; `shown`: by
    a row as it is stored, how it is shown; empty: not. `size`: about how many bytes all of it holds.
    """

    read: Read
    until_s: float
    shown: Mapping[bytes, bytes]
    whole: Whole
    size: int

    @classmethod
    def of(cls, read: Read, until_s: float, shown: Mapping[bytes, bytes], whole: Whole) -> "Kept":
        """A reply, to be kept. What is shown is held by row and in the body, and compressed for who takes that."""
        stored = sum(map(len, read.values)) + sum(map(len, read.around.held))
        size = REPLY_BYTES + ROW_BYTES * len(read.values) + stored + 3 * len(whole.body)
        return cls(read, until_s, shown, whole, size)

    def shown_now(self, around: Around, now_s: float) -> Mapping[bytes, bytes]:
        """The rows that would be shown in the same way now."""
        return self.shown if now_s < self.until_s and self.read.around == around else {}


class KeptReplies:
    """The replies made last, of at most about `max_bytes`: what was not asked for while half as much came is forgotten,
    as VerifiedTokens does.
    """

    def __init__(self, max_bytes: int) -> None:
        self._half_bytes = max_bytes // 2
        self._young: dict[Asked, Kept] = {}
        self._old: dict[Asked, Kept] = {}
        self._young_bytes = 0

    def find(self, asked: Asked) -> Kept | None:
        """What was replied last."""
        kept = self._young.get(asked)
        if kept is None and (kept := self._old.get(asked)) is not None:
            self.keep(asked, kept)
        return kept

    def keep(self, asked: Asked, kept: Kept) -> None:
        """Remember a reply, in the place of one before."""
        self._old.pop(asked, None)
        before = self._young.pop(asked, None)
        self._young_bytes -= before.size if before is not None else 0
        if self._young_bytes + kept.size > self._half_bytes:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[asked] = kept
        self._young_bytes += kept.size

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
