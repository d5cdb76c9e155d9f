"""How many streams a process has open: they take no place of other requests, and have bounds of their own."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import Gauge

from infra.http.problems import ProblemKind, Refusal
from infra.settings import Settings

STREAMS: Final = Gauge("playhead_live_streams", "Live dashboards that are connected")


class TooManyStreams(Refusal):
    """The caller has settings.live_streams_caller_max streams open here."""


class StreamsFull(Refusal):
    """This process has settings.live_streams_max streams open."""


TOO_MANY_STREAMS = ProblemKind(429, "too-many-live-streams", "So many live streams of yours are open already")
STREAMS_FULL = ProblemKind(503, "live-streams-full", "This process has as many live streams open as it may")


class Places:
    """How many streams are open, of all and of each caller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._of: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """How many streams there are."""
        return self._of.total()

    @contextmanager
    def taken(self, caller: str) -> Iterator[int]:
        """While one more is open: how many there are. Raises TooManyStreams and StreamsFull."""
        again = {"Retry-After": str(self._settings.retry_after_s)}
        if self.open >= self._settings.live_streams_max:
            raise StreamsFull(f"{self._settings.live_streams_max} live streams are open here; try again", headers=again)
        if self._of[caller] >= self._settings.live_streams_caller_max:
            most = self._settings.live_streams_caller_max
            raise TooManyStreams(f"{most} live streams of yours are open here; close one", headers=again)
        self._of[caller] += 1
        STREAMS.inc()
        try:
            yield self.open
        finally:
            STREAMS.dec()
            self._of -= Counter({caller: 1})  # drops who has none left
