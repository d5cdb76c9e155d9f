"""Replies of continue watching that were made before, for who asks again: a reply is used as long as everything that it
was made of is, byte for byte, what Redis and the catalog say now, and until the moment at which time alone would make
it another. So what is kept is never older than what is read. When only rows have changed, the others are used again.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from cachetools import LRUCache

from infra.http.representations import Whole
from query_api.playback.playable import Holdings, Viewer

ROW_BYTES: Final = 160
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
    a row as it is stored, how it is shown; empty: not. `size`: about how many bytes it holds beside the body.
    """

    read: Read
    holdings: Holdings
    until_s: float
    shown: Mapping[bytes, bytes]
    whole: Whole
    size: int

    @classmethod
    def of(cls, read: Read, holdings: Holdings, until_s: float, shown: Mapping[bytes, bytes], whole: Whole) -> "Kept":
        """A reply, to be kept."""
        stored = sum(map(len, read.values)) + sum(map(len, read.around.held))
        size = REPLY_BYTES + ROW_BYTES * len(read.values) + stored + len(whole.body)  # which its rows hold once more
        return cls(read, holdings, until_s, shown, whole, size)

    def is_around(self, around: Around, now_s: float) -> bool:
        """Whether its rows would be shown in the same way now."""
        return now_s < self.until_s and self.read.around == around


class KeptReplies:
    """The replies made last, of at most `max_bytes`: what was not asked for the longest goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[Asked, Kept] = LRUCache(max_bytes, getsizeof=_size)

    def find(self, asked: Asked) -> Kept | None:
        """What was replied last."""
        try:
            kept = self._kept[asked]
        except KeyError:
            return None
        if kept.whole.is_grown:
            self.keep(asked, kept)
        return kept

    def keep(self, asked: Asked, kept: Kept) -> None:
        """Remember a reply, in the place of one before, unless it alone is too large."""
        kept.whole.is_grown = False
        try:
            self._kept[asked] = kept
        except ValueError:
            self._kept.pop(asked, None)

    def __len__(self) -> int:
        return len(self._kept)


def _size(kept: Kept) -> int:
    return kept.size + kept.whole.size
