"""uvicorn's HTTP protocol with the bounds that it has none of: how large a request's head may grow before it is whole,
and how long a connection may take to send a request.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infra.http.deadlines import NEVER, Deadlines
from infra.settings import Settings

TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
PATIENCE_S: Final = 5.0
"""How much later than the app a connection gives up on a body, so that the app's answer comes first."""
CONNECTION: Final = "playhead.connection"
"""Where a request's scope keeps the connection that it came by."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. See protocol_of()."""

    head_max_bytes = 0
    head_timeout_s = 0.0
    body_timeout_s = 0.0
    deadlines: Deadlines
    on_shutdown: Callable[[], None] | None = None
    """Of the reply that is sent now, when it goes on for as long as it likes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client connected."""
        super().connection_made(transport)
        self._head_bytes: int | None = 0  # None: what is received now is no head
        self.ends_s = self.loop.time() + self.head_timeout_s
        self.deadlines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.deadlines.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something arrived."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > self.head_max_bytes:
                self._hang_up(TOO_LARGE)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]  # beside what ASGI has there
        self._head_bytes = 0
        self.ends_s = self.loop.time() + self.head_timeout_s

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head_bytes = None
        self.ends_s = self.loop.time() + self.body_timeout_s
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self.ends_s = NEVER
        super().on_message_complete()

    def await_body(self, within_s: float) -> None:
        """Give the body that is arriving so long, from now."""
        if self.ends_s != NEVER:
            self.ends_s = self.loop.time() + within_s + PATIENCE_S

    def shutdown(self) -> None:
        """The server is about to end."""
        super().shutdown()
        if self.on_shutdown is not None:
            self.on_shutdown()

    def hang_up(self) -> None:
        """Close it at once, whatever was not sent."""
        self.transport.abort()
        if self.cycle is not None:
            self.cycle.disconnected = True  # as it will be told; what answers it may end before that

    def overdue(self) -> None:
        """What it sends is too slow."""
        self.ends_s = NEVER
        self._hang_up(TOO_SLOW)

    def _hang_up(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            if self._head_bytes is not None:  # no reply is under way
                self.transport.write(reply)
            self.transport.close()


def protocol_of(settings: Settings) -> type[BoundedProtocol]:
    """The protocol under the bounds that are set."""
    bounds = {
        "head_max_bytes": 2 * settings.http_headers_max_bytes,  # on the wire; the app counts what it means
        "head_timeout_s": settings.http_headers_timeout_s,
        "body_timeout_s": settings.request_body_timeout_s + PATIENCE_S,
        "deadlines": Deadlines(settings.http_headers_timeout_s),
    }
    return type("ConfiguredProtocol", (BoundedProtocol,), bounds)
