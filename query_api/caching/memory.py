"""The replies that a process keeps: bounded in number and in bytes; what was not asked for the longest goes first."""

from collections.abc import Hashable
from typing import Final, NamedTuple

from cachetools import LRUCache
from prometheus_client import Counter, Gauge

from infra.http.representations import Whole
from infra.settings import Settings
from query_api.caching.places import Place

OVERHEAD_BYTES: Final = 1_024
"""Of a kept reply beside its bodies: headers, key, place and what holds them."""
BYTES: Final = Gauge("playhead_reply_cache_bytes", "Replies that are kept")
REPLIES: Final = Gauge("playhead_reply_cache_replies", "Replies that are kept")
EVICTED: Final = Counter("playhead_reply_cache_evicted_total", "Replies that made place for others")


class Reply(NamedTuple):
    """A reply that was read when the views were at a place, and holds until a time (epoch seconds) while they are."""

    whole: Whole
    place: Place
    until_s: float

    def holds(self, place: Place, now_s: float) -> bool:
        """Whether it is what would be read now."""
        return self.place == place and now_s < self.until_s


def _size(reply: Reply) -> int:
    return reply.whole.size + OVERHEAD_BYTES


class Memory:
    """The replies, by what decides them."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.reply_cache_max_replies
        self._largest = min(settings.reply_cache_reply_max_bytes, settings.reply_cache_max_bytes)
        self._replies: LRUCache[Hashable, Reply] = LRUCache(settings.reply_cache_max_bytes, getsizeof=_size)
        BYTES.set_function(lambda: self._replies.currsize)
        REPLIES.set_function(lambda: len(self._replies))

    def get(self, key: Hashable, place: Place, now_s: float) -> Whole | None:
        """The reply to a request, if what is kept of it holds."""
        reply = self._replies.get(key)
        if reply is None:
            return None
        if not reply.holds(place, now_s):
            del self._replies[key]
            return None
        if reply.whole.is_grown:
            self.put(key, reply)
        return reply.whole

    def put(self, key: Hashable, reply: Reply) -> None:
        """Keep a reply, unless it is too large."""
        self._replies.pop(key, None)
        if _size(reply) > self._largest:
            return
        before = len(self._replies)
        while len(self._replies) >= self._most:
            self._replies.popitem()
        self._replies[key] = reply
        reply.whole.is_grown = False
        if (gone := before + 1 - len(self._replies)) > 0:
            EVICTED.inc(gone)
