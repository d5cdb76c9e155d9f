"""One client's stream of events: what is due to it, and when it ends. A reply of its own kind to a request.

A stream has no queue: it is a place in windows that all clients share, so that who reads slowly costs no memory and
makes nobody wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from infra.clock import monotonic_s
from infra.http.streamed_replies import hang_up, streamed
from infra.settings import Settings
from query_api.live import ids
from query_api.live.feed import Feed
from query_api.live.places import Places
from query_api.live.readings import UNAVAILABLE, Topic, Unavailable, shown
from query_api.live.window import Following, Step, Why

EVENTS: Final = Counter("playhead_live_events_total", "Events sent to live dashboards", ["event"])
ENDED: Final = Counter("playhead_live_ended_total", "Streams of live dashboards that ended", ["reason"])
HEADERS: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}


class End(StrEnum):
    """Why a stream ended. A client that left gets no event of it, nor does one that does not read."""

    SHUTDOWN = "shutdown"
    UNAUTHENTICATED = "unauthenticated"
    LASTED = "lasted"
    FAILED = "failed"
    LEFT = "left"
    STALLED = "stalled"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a client wants: which topics, after what, and of which titles alone (empty: the most watched).

    `is_still_let_in`: whether its token holds, and allows all that.
    """

    caller: str
    topics: Sequence[Topic]
    after: str | None
    titles: Collection[str]
    is_still_let_in: Callable[[], Awaitable[bool]]


class LiveStream(Response):
    """The reply."""

    media_type = "text/event-stream"

    def __init__(self, asked: Asked, feeds: Sequence[Feed], places: Places, settings: Settings) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._asked = asked
        self._feeds = feeds
        self._places = places
        self._settings = settings
        after = ids.read(asked.after)
        self._following = {
            feed.topic: Following(
                feed.window, after_ms=after.get(feed.topic), behind_max=settings.live_behind_max_samples
            )
            for feed in feeds
        }
        self._wake = asyncio.Event()
        self._end: End | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as stack:
            number = stack.enter_context(self._places.taken(self._asked.caller))
            stack.enter_context(streamed(scope, lambda: self._end_by(End.SHUTDOWN)))
            for feed in self._feeds:
                stack.enter_context(feed.followed(self._wake))
            listening = asyncio.create_task(self._listen(receive))
            try:
                await self._run(_Client(scope, send, self._settings.live_stall_s), self._retry_ms(number))
            finally:
                listening.cancel()

    async def _run(self, client: "_Client", retry_ms: int) -> None:
        await client.send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        began_s = self._checked_at_s = monotonic_s()
        await client.write(format_sse_event(retry=retry_ms))
        while not await self._is_over(began_s, client):
            events = self._due()
            if events:
                await client.write(events)
            elif not await self._woken(client.silent_s):
                await client.write(KEEPALIVE_COMMENT)
        end = End.STALLED if client.is_stalled else self._end
        assert end is not None
        ENDED.labels(end).inc()
        if end not in (End.LEFT, End.STALLED):
            data = msgspec.json.encode({"reason": end}).decode()
            await client.write(format_sse_event(event="end", data_str=data, retry=retry_ms), is_last=True)

    async def _is_over(self, began_s: float, client: "_Client") -> bool:
        """Whether it is to end; looks at the token now and then."""
        now_s = monotonic_s()
        if now_s - began_s > self._settings.live_stream_max_s:
            self._end_by(End.LASTED)
        if any(feed.is_failed for feed in self._feeds):
            self._end_by(End.FAILED)
        if self._end is None and now_s - self._checked_at_s >= self._settings.live_check_s:
            self._checked_at_s = now_s
            if not await self._asked.is_still_let_in():
                self._end_by(End.UNAUTHENTICATED)
        return self._end is not None or client.is_stalled

    def _due(self) -> bytes:
        """The next event of each topic. The id of each says how far the client is with it, and not with the next."""
        due = b""
        for topic, following in self._following.items():
            step = following.step()
            if step is not None:
                due += self._event(topic, step)
        return due

    def _event(self, topic: Topic, step: Step) -> bytes:
        reading = step.sample.reading
        event = UNAVAILABLE if isinstance(reading, Unavailable) else topic.value
        data = shown(reading, titles=self._asked.titles, most_titles=self._settings.live_titles_shown).decode()
        got = {topic: each.after_ms for topic, each in self._following.items() if each.after_ms is not None}
        EVENTS.labels(event).inc()
        return _marker(topic, step) + format_sse_event(event=event, data_str=data, id=ids.written(got))

    async def _woken(self, silent_s: float) -> bool:
        """Wait for something to do; False when it is time for a sign of life."""
        left_s = self._settings.live_heartbeat_s - silent_s
        if left_s <= 0:
            return False
        self._wake.clear()
        if self._end is None:
            try:
                async with asyncio.timeout(min(left_s, self._settings.live_check_s, self._settings.live_stream_max_s)):
                    await self._wake.wait()
            except TimeoutError:
                pass  # it is looked at what is to be done
        return True

    async def _listen(self, receive: Receive) -> None:
        """Until the client leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._end_by(End.LEFT)

    def _end_by(self, end: End) -> None:
        self._end = self._end or end
        self._wake.set()

    def _retry_ms(self, number: int) -> int:
        """When a client is to come back: not all at once, when a process ends that had many."""
        most = self._settings.live_streams_max
        return round(1000 * self._settings.live_retry_s * (1 + number / most))


def _marker(topic: Topic, step: Step) -> bytes:
    """What stands before an event that does not follow the one before it."""
    if step.why is None:
        return b""
    said: dict[str, object] = {"topic": topic}
    if step.why is Why.SKIPPED:
        said["samples"] = step.skipped
    EVENTS.labels(step.why).inc()
    return format_sse_event(event=step.why, data_str=msgspec.json.encode(said).decode())


class _Client:
    """Who reads. `is_stalled`: has not read for `stall_s`, and is not written to any more."""

    def __init__(self, scope: Scope, send: Send, stall_s: float) -> None:
        self.is_stalled = False
        self._scope = scope
        self._send = send
        self._stall_s = stall_s
        self._written_at_s = monotonic_s()

    @property
    def silent_s(self) -> float:
        """Since something was written."""
        return monotonic_s() - self._written_at_s

    async def write(self, events: bytes, *, is_last: bool = False) -> None:
        """Write events, once there is room for more."""
        await self.send({"type": "http.response.body", "body": events, "more_body": not is_last})
        self._written_at_s = monotonic_s()

    async def send(self, message: Message) -> None:
        """Send a message; a client that does not make room for it in time is hung up on."""
        try:
            async with asyncio.timeout(self._stall_s):
                await self._send(message)
        except TimeoutError:
            self.is_stalled = True
            hang_up(self._scope)
