"""Bounds what one request may take: its body's size and how long it arrives, its headers, and how long it is handled.

Middleware, so that no route can forget it.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.problems import Problem, ProblemKind, response_of
from infra.settings import Settings

HEADERS_TOO_LARGE: Final = ProblemKind(431, "headers-too-large", "The request's headers are larger than is taken")
TIMED_OUT: Final = ProblemKind(503, "request-timed-out", "The request took longer than one may")
HANG_UP: Final = {"Connection": "close"}
"""What follows a body that was not read to its end is no request."""


class BodyBounds:
    """Refuses a body over `max_bytes` as soon as it is known to be (413), one that is compressed (415), and one that
    does not arrive in time (408)."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = _Reading(scope, receive, self._max_bytes, self._timeout_s)
        await self._app(scope, receive, send)


class _Reading:
    """The body of one request. What is raised is raised from inside the app's own read, where its exception handlers
    answer it."""

    __slots__ = ("_deadline_s", "_max_bytes", "_receive", "_scope", "_size", "_timeout_s")

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int, timeout_s: float) -> None:
        self._scope = scope
        self._receive = receive
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._size = -1
        self._deadline_s: float | None = None

    async def __call__(self) -> Message:
        if self._size < 0:
            self._check(self._scope["headers"])
            self._size = 0
            self._deadline_s = asyncio.get_running_loop().time() + self._timeout_s
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body did not arrive in {self._timeout_s:g} s; send it faster, or less at a time"
            raise HTTPException(408, detail, HANG_UP) from None
        self._size += len(message.get("body", b""))
        if self._size > self._max_bytes:
            raise self._too_large()
        if not message.get("more_body"):
            self._deadline_s = None  # from now on it is waited for that the client goes away
        return message

    def _check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_bytes:
                raise self._too_large()
            if name == b"content-encoding" and value != b"identity":
                shown = value[:40].decode("latin-1")
                raise HTTPException(415, f"send the body as it is, without Content-Encoding {shown!r}")

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"a body may hold {self._max_bytes} bytes; split it")


class RequestBounds:
    """Refuses headers that are too many or too large (431), and ends what takes too long (503): a command that is cut
    off has been committed or has not, and repeating it under its Idempotency-Key tells which."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._most = settings.http_headers_max
        self._max_bytes = settings.http_headers_max_bytes
        self._timeout_s = settings.request_timeout_s
        self._again = {"Retry-After": str(settings.retry_after_s)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif reason := self._excess(scope):
            await response_of(Problem(HEADERS_TOO_LARGE, reason, scope["path"]))(scope, receive, send)
        else:
            await self._timed(scope, receive, send)

    def _excess(self, scope: Scope) -> str | None:
        headers = scope["headers"]
        if len(headers) > self._most:
            return f"a request may have {self._most} headers"
        size = sum(len(name) + len(value) for name, value in headers) + len(scope["query_string"])
        if size > self._max_bytes:
            return f"headers and query may hold {self._max_bytes} bytes together"
        return None

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                await self._app(scope, receive, send_noting)
        except TimeoutError:
            if is_begun or not limit.expired():
                raise
            detail = f"nothing came of it in {self._timeout_s:g} s; send it again, a command under the same key"
            await response_of(Problem(TIMED_OUT, detail, scope["path"]), self._again)(scope, receive, send)
