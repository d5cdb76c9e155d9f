"""One topic, sampled once an interval for all who follow it, and only while somebody does."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Final

from prometheus_client import Counter

from infra.clock import epoch_s, monotonic_s, utc_now
from infra.settings import Settings
from infra.telemetry import log
from query_api.live.readings import Read, Reading, Topic, Unavailable
from query_api.live.window import AHEAD_MAX_INTERVALS, Sample, Window
from query_api.stores import StoreUnavailable

SAMPLES: Final = Counter("playhead_live_samples_total", "Samples taken for live dashboards", ["topic", "outcome"])
READ_SHARE: Final = 0.8
"""Of an interval, that a sample is waited for; then it says that its store does not answer."""


class Feed:
    """A topic's samples. `is_failed`: what reads it broke; whoever follows is to be sent away."""

    def __init__(self, topic: Topic, read: Read, settings: Settings, clock: Callable[[], float] = epoch_s) -> None:
        self.topic = topic
        self.is_failed = False
        self._read = read
        self._clock = clock
        self._interval_ms = max(1, round(settings.live_interval_s * 1000))
        self._linger_s = settings.live_linger_s
        self.window = Window(settings.live_samples_kept, self._interval_ms)
        self._followers: set[asyncio.Event] = set()
        self._left_at_s = 0.0
        self._sampling: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[Reading] | None = None

    @contextmanager
    def followed(self, wake: asyncio.Event) -> Iterator[None]:
        """Take samples meanwhile, and some time longer; `wake` is set when there is another."""
        self._followers.add(wake)
        if self._sampling is None or self._sampling.done():
            self.is_failed = False
            self._sampling = asyncio.create_task(self._sample(), context=Context())  # of no one request
            self._sampling.add_done_callback(self._ended)
        try:
            yield
        finally:
            self._followers.discard(wake)
            self._left_at_s = monotonic_s()

    async def close(self) -> None:
        """Take no more samples."""
        tasks = [task for task in (self._sampling, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sample(self) -> None:
        try:
            while self._followers or monotonic_s() - self._left_at_s < self._linger_s:
                at_ms = await self._next_interval()
                self.window.add(Sample(at_ms, await self._read_in_time()))
                self._wake()
        finally:
            self.window.clear()

    def _ended(self, sampling: asyncio.Task[None]) -> None:
        """Nobody follows any more; or something is wrong with what reads."""
        if not sampling.cancelled() and (error := sampling.exception()) is not None:
            log.error("samples cannot be taken", topic=self.topic, exc_info=error)
            self.is_failed = True
            self._wake()

    async def _next_interval(self) -> int:
        """When the next interval without a sample begins, once it does; at first the one that runs."""
        while True:
            now_ms = int(self._clock() * 1000)
            at_ms = now_ms - now_ms % self._interval_ms
            newest = self.window.newest
            early_ms = 0 if newest is None else newest.at_ms + self._interval_ms - now_ms
            if not 0 < early_ms <= AHEAD_MAX_INTERVALS * self._interval_ms:  # later: the clock was put back
                return at_ms
            await asyncio.sleep(early_ms / 1000)

    async def _read_in_time(self) -> Reading:
        """What the topic says, or that its store does not answer. One read is under way at a time, however slow."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._reading_or_refusal())
        done, _ = await asyncio.wait([self._reading], timeout=READ_SHARE * self._interval_ms / 1000)
        if not done:
            reading: Reading = Unavailable(utc_now(), self.topic, None, "no answer in time")
        else:
            read, self._reading = self._reading, None
            reading = read.result()
        SAMPLES.labels(self.topic, "unavailable" if isinstance(reading, Unavailable) else "read").inc()
        return reading

    async def _reading_or_refusal(self) -> Reading:
        try:
            return await self._read()
        except StoreUnavailable as refusal:
            store, reason = str(refusal.members["store"]), str(refusal.members["reason"])
            return Unavailable(utc_now(), self.topic, store, reason)

    def _wake(self) -> None:
        for each in self._followers:
            each.set()
