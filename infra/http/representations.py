"""What a reply is sent as: told to be unchanged (304) to who has it already, compressed to who takes that.

Middleware around whatever answers a GET. A reply that comes whole gets an entity tag, which is a digest of its body: it
is right after every change, and costs the reply's own work, which caching saves. One that comes piece by piece is
compressed as it goes and gets none; server-sent events are left as they are.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.http.cors import RawHeaders
from infra.http.deflating import Coding, Deflater, coding_for, codings_of
from infra.http.entity_tags import names, tag_in, tag_of
from infra.settings import Settings

PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
KEY: Final = "playhead.whole"
"""Where a request's scope keeps the Whole that its reply was taken from."""
COMPRESSED: Final = frozenset(
    {b"application/json", b"application/jsonl", b"application/x-ndjson", b"text/csv", b"text/html", b"text/plain"}
)
"""The types of replies that are tagged and compressed."""
OF_BODY: Final = frozenset({b"content-type", b"content-language"})
"""What a 304 does not repeat: the client has it with the body."""
KEEPING: Final = "playhead.keeping"
"""Where it keeps the Cache-Control of its reply, when that is tagged, and the route says nothing else."""
PRIVATE: Final = b"private, no-cache"
"""Only the client itself keeps the reply, and asks each time whether it is still right."""
VARY: Final = (b"vary", b"Accept-Encoding")


class Whole:
    """A reply as it was made: its headers without Content-Length, and its body. Kept, it is compressed once.
    `is_grown`: it has been compressed since somebody looked how large it is.
    """

    __slots__ = ("_encoded", "body", "headers", "is_grown", "tag")

    def __init__(self, headers: RawHeaders, body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.tag = tag_of(body)
        self.is_grown = False
        self._encoded: dict[bytes, bytes] = {}

    @property
    def size(self) -> int:
        """The bytes of the body, in every coding that it is kept in."""
        return len(self.body) + sum(map(len, self._encoded.values()))

    async def encoded(self, name: bytes, coding: Coding, thread_bytes: int) -> bytes:
        """The body in a coding; a large one is compressed beside the event loop."""
        found = self._encoded.get(name)
        if found is None:
            whole, body = coding.whole, self.body
            found = await asyncio.to_thread(whole, body) if len(body) >= thread_bytes else whole(body)
            self._encoded[name] = found
            self.is_grown = True
        return found


class _Wanted(NamedTuple):
    """What a request says of the reply that it wants."""

    coding: bytes | None
    unless: bytes | None


class Representations:
    """The middleware. `settings`: from which size, and how hard, replies are compressed."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app = app
        self.codings: Mapping[bytes, Coding] = codings_of(settings)
        self.least_bytes = settings.reply_compress_min_bytes
        self.thread_bytes = settings.reply_compress_thread_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] not in PROBES:
            send = _Reply(self, scope, send)
        await self._app(scope, receive, send)


class _Reply:
    """The reply to one request, as `send`."""

    __slots__ = ("_deflater", "_of", "_scope", "_send", "_start")

    def __init__(self, of: Representations, scope: Scope, send: Send) -> None:
        self._of = of
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._deflater: Deflater | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] == 200 and _is_ours(message["headers"]):
                self._start = message  # what it says depends on the body
            else:
                await self._send(message)
        elif self._deflater is not None:
            await self._send_piece(self._deflater, message)
        elif self._start is None:
            await self._send(message)
        else:
            start, self._start = self._start, None
            if message.get("more_body"):
                await self._send_first(start, message)
            else:
                whole = self._scope.get(KEY) or Whole(without_length(start["headers"]), message.get("body", b""))
                await self._send_whole(whole)

    async def _send_whole(self, whole: Whole) -> None:
        coding, unless = _wanted(self._scope)
        headers = whole.headers
        if len(whole.body) < self._of.least_bytes:
            coding = None
        else:
            headers = [*headers, VARY]
        tag = whole.tag if coding is None else tag_in(coding, whole.tag)
        headers = [*headers, (b"etag", tag)]
        if not any(name == b"cache-control" for name, _ in headers):
            headers.append((b"cache-control", self._scope.get(KEEPING, PRIVATE)))
        if unless is not None and names(unless, tag):
            return await self._send_all(304, [each for each in headers if each[0] not in OF_BODY], b"")
        body = whole.body
        if coding is not None:
            body = await whole.encoded(coding, self._of.codings[coding], self._of.thread_bytes)
            headers.append((b"content-encoding", coding))
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send_all(200, headers, body)

    async def _send_all(self, status: int, headers: RawHeaders, body: bytes) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _send_first(self, start: Message, message: Message) -> None:
        """Begin a reply that comes piece by piece."""
        coding, _ = _wanted(self._scope)
        headers = [*start["headers"], VARY]
        if coding is not None:
            headers = [*without_length(headers), (b"content-encoding", coding)]
            self._deflater = self._of.codings[coding].begin()
        await self._send({**start, "headers": headers})
        await (self._send(message) if self._deflater is None else self._send_piece(self._deflater, message))

    async def _send_piece(self, deflater: Deflater, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if len(body) >= self._of.thread_bytes:
            piece = await asyncio.to_thread(deflater.piece, body)
        else:
            piece = deflater.piece(body) if body else b""
        await self._send({**message, "body": piece if more else piece + deflater.end()})


def _is_ours(headers: RawHeaders) -> bool:
    """Whether a reply is text that nobody encoded, tagged or forbade to keep."""
    is_text = False
    for name, value in headers:
        if name == b"content-type":
            is_text = value.partition(b";")[0].strip() in COMPRESSED
        elif name in (b"content-encoding", b"etag") or (name == b"cache-control" and b"no-store" in value):
            return False
    return is_text


def without_length(headers: RawHeaders) -> RawHeaders:
    """Headers, less Content-Length."""
    return [each for each in headers if each[0] != b"content-length"]


def _wanted(scope: Scope) -> _Wanted:
    accepted: bytes | None = None
    unless: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            accepted = value if accepted is None else accepted + b"," + value
        elif name == b"if-none-match":
            unless = value if unless is None else unless + b"," + value
    return _Wanted(None if accepted is None else coding_for(accepted), unless)
