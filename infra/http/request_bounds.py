"""Bounds what one request may take: its headers, its body's size and how long it arrives, and how long it is handled.

Middleware, so that no route can forget it.
"""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.http.deadlines import NEVER, Deadlines
from infra.http.inflating import TAKEN, EncodingUnknown, InflatedTooLarge, Inflater
from infra.http.inflight import Room
from infra.http.problems import BODY_TOO_SLOW, Problem, ProblemKind, response_of
from infra.http.rate_limiting import caller_of
from infra.settings import Settings

HEADERS_TOO_LARGE: Final = ProblemKind(431, "headers-too-large", "The request's headers are larger than is taken")
TIMED_OUT: Final = ProblemKind(503, "request-timed-out", "The request took longer than one may")
HANG_UP: Final = {"Connection": "close"}
"""What follows a body that was not read to its end is no request."""
KEY: Final = "playhead.encoded"
"""Where a request's scope keeps a body that came compressed."""
ARRIVED_BYTES: Final = 64 * 1024
"""So much of a body the server may have read before anybody asks for it."""
BOUNDS: Final = "playhead.bounds"
"""Where it keeps the bounds of its body and of its time, for a route that has its own: streamed_bodies.py."""


class RequestBounds:
    """Refuses headers that are too many or too large (431), a body that is too large (413), compressed (415, where the
    route does not read it by inflated_body), slow (408) or more than there is room for (429, 503), and ends
    what takes too long (503): a command that is cut off has been committed or has not, and repeating it under its
    Idempotency-Key tells which.
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self._most = settings.http_headers_max
        self._max_bytes = settings.http_headers_max_bytes
        self._body_max_bytes = settings.request_max_bytes
        self._inflater = Inflater(settings.request_max_bytes)
        self._room = Room(settings)
        self._body_timeout_s = settings.request_body_timeout_s
        self._timeout_s = settings.request_timeout_s
        self._deadlines = Deadlines(min(self._body_timeout_s, self._timeout_s))
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
        size = len(scope["query_string"])
        for name, value in headers:
            size += len(name) + len(value)
        if size > self._max_bytes:
            return f"headers and query may hold {self._max_bytes} bytes together"
        return None

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        body = _Body(scope, receive, self._body_max_bytes, self._inflater, self._room)
        limit = _Limit(body, self._body_timeout_s, self._timeout_s)
        scope[BOUNDS] = body, limit
        self._deadlines.add(limit)
        try:
            await self._app(scope, body, send_noting)
        except asyncio.CancelledError:
            if not limit.is_ours():
                raise
            if is_begun:
                raise TimeoutError("a reply was cut off") from None
            await self._late(scope, body)(scope, receive, send)
        finally:
            self._deadlines.discard(limit)
            body.give_back()
            del scope[BOUNDS]  # the body knows its scope: in a circle, they would be left to the garbage collector
            scope.pop(KEY, None)

    def _late(self, scope: Scope, body: "_Body") -> Response:
        if body.is_awaited:
            detail = f"the body did not arrive in {self._body_timeout_s:g} s; send it faster, or less at a time"
            return response_of(Problem(BODY_TOO_SLOW, detail, scope["path"]), HANG_UP)
        detail = f"nothing came of it in {self._timeout_s:g} s; send it again, a command under the same key"
        return response_of(Problem(TIMED_OUT, detail, scope["path"]), self._again)


class _Limit:
    """Cancels the request when its time is over: while its body is awaited that is sooner. What asyncio.timeout() does,
    at a tenth of the cost.
    """

    __slots__ = ("_body", "_is_over", "_last_s", "_task", "ends_s")

    def __init__(self, body: "_Body", body_timeout_s: float, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._body = body
        self._is_over = False
        now_s = task.get_loop().time()
        self._last_s = now_s + timeout_s
        self.ends_s = now_s + min(body_timeout_s, timeout_s) if body.is_awaited else self._last_s

    def is_ours(self) -> bool:
        """Whether the request was cancelled because its time was over, and for nothing else."""
        return self._is_over and self._task.uncancel() == 0

    def extend(self, timeout_s: float) -> None:
        """Give the request so long, from now, whether its body has come or not."""
        self.ends_s = self._last_s = self._task.get_loop().time() + timeout_s

    def overdue(self) -> None:
        """End it, unless its body has come and all that it may take is not over."""
        if self._body.is_awaited or self.ends_s == self._last_s:
            self._is_over = True
            self.ends_s = NEVER
            self._task.cancel()
        else:
            self.ends_s = self._last_s


class _Body:
    """The body of one request, as `receive`. What it raises is raised from inside the app's own read, where the app's
    exception handlers answer it. `is_awaited`: more of it is to come.
    """

    __slots__ = (
        "_announced",
        "_caller",
        "_coding",
        "_held",
        "_inflater",
        "_max_bytes",
        "_receive",
        "_refused",
        "_room",
        "_scope",
        "_size",
        "is_awaited",
    )

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int, inflater: Inflater, room: Room) -> None:
        self._scope = scope
        self._receive = receive
        self._room: Room | None = room
        self._caller: str | None = None
        self._held = 0
        self._announced = 0
        self._max_bytes = max_bytes
        self._size = 0
        self._refused: HTTPException | None = None
        self._inflater = inflater
        self._coding = b""
        self.is_awaited = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.is_awaited = value != b"0"
                self._announced = int(value) if value.isdigit() else 0
                if self._announced > max_bytes:
                    self._refused = self._too_large()
            elif name == b"transfer-encoding":
                self.is_awaited = True
            elif name == b"content-encoding" and value not in (b"", b"identity"):
                self._coding = self._coding + b", " + value if self._coding else value
                scope[KEY] = self

    async def inflated(self, request: Request) -> bytes:
        """All of it as it was before it was compressed."""
        coding, self._coding = self._coding, b""
        try:
            inflate = self._inflater.of(coding)
            inflated = inflate(await _whole(request))
        except InflatedTooLarge as error:
            raise self._too_large() from error
        except EncodingUnknown as error:
            detail = f"Content-Encoding is {_shown(coding)}; one of {TAKEN} is taken here, or none"
            raise HTTPException(415, detail, {"Accept-Encoding": TAKEN}) from error
        self._hold(len(inflated))
        return inflated

    def stream(self, max_bytes: int) -> bytes:
        """Let this many bytes through as they arrive; how they are encoded, for the caller to undo."""
        coding, self._coding = self._coding, b""
        self._max_bytes, self._refused, self._room = max_bytes, None, None
        return coding

    def give_back(self) -> None:
        """The request is over: what it held is free."""
        if self._held and self._room is not None:
            self._room.give_back(self._caller, self._held)

    async def __call__(self) -> Message:
        if self._refused is not None:
            raise self._refused
        if self._coding:
            raise HTTPException(415, f"send the body as it is, without Content-Encoding {_shown(self._coding)}")
        if self._announced > ARRIVED_BYTES and self._room is not None and not self._size:
            self._room.check(caller_of(self._scope), self._announced)
        message = await self._receive()
        if size := len(message.get("body", b"")):
            self._size += size
            if self._size > self._max_bytes:
                raise self._too_large()
            self._hold(size)
        if not message.get("more_body"):
            self.is_awaited = False
        return message

    def _hold(self, size: int) -> None:
        if self._room is None:
            return
        if not self._held:
            self._caller = caller_of(self._scope)
        self._room.take(self._caller, size)
        self._held += size

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"a body may hold {self._max_bytes} bytes, inflated if it is compressed; split it")


def _shown(coding: bytes) -> str:
    return repr(coding[:40].decode("latin-1"))


def stream_body(scope: Scope, *, max_bytes: int, timeout_s: float) -> bytes:
    """Let a request have another size and time than the settings give to all: for a route that reads it piece by piece
    and bounds itself. How its body is encoded.
    """
    if BOUNDS not in scope:  # nothing bounds it: an app without the perimeter
        return b""
    body, limit = scope[BOUNDS]
    limit.extend(timeout_s)
    coding: bytes = body.stream(max_bytes)
    return coding


def lift_deadline(scope: Scope) -> None:
    """Let a request take as long as it likes: who answers it bounds that."""
    if BOUNDS in scope:
        _, limit = scope[BOUNDS]
        limit.extend(NEVER)


def more_time(scope: Scope, timeout_s: float) -> None:
    """Let a request take so long, from now: for a reply that is sent piece by piece, each within that time."""
    if BOUNDS in scope:
        _, limit = scope[BOUNDS]
        limit.extend(timeout_s)


async def inflated_body(request: Request) -> bytes:
    """A request's body, inflated when it came compressed: for a route that takes that.

    Raises HTTPException 413 and 415, EncodingMalformed.
    """
    encoded: _Body | None = request.scope.get(KEY)
    return await _whole(request) if encoded is None else await encoded.inflated(request)


async def _whole(request: Request) -> bytes:
    """As request.body(), without the generator that it goes through."""
    message = await request.receive()
    pieces: list[bytes] = [message.get("body", b"")]
    while message.get("more_body"):
        message = await request.receive()
        pieces.append(message.get("body", b""))
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
