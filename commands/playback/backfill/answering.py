"""The reply to a backfill, written while its lines are taken: a line of JSON for each, in order, and a last one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from commands.playback.reports import Result
from infra.http.request_bounds import HANG_UP

MEDIA_TYPE: Final = "application/x-ndjson"
_encoder = msgspec.json.Encoder()


class LineResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one line ended: ok, duplicate (done by an earlier request under the same key), warning, rejected (never send
    it again), or retry (not persisted: repeat the request). `problem` names it (docs/problems.md).
    """

    line: int
    status: str
    seq: int | None = None
    problem: str | None = None
    reason: str | None = None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The last line. `done`: the request was taken to its end. Else `problem` and `reason` say why it broke off, and
    repeating it under the same key goes on after `lines`. `accepted` counts warnings; `duplicates` were before.
    """

    done: bool
    lines: int
    accepted: int
    duplicates: int
    warnings: int
    rejected: int
    retry: int
    problem: str | None = None
    reason: str | None = None


def line_of(number: int, status: str, result: Result) -> bytes:
    """A line of the reply."""
    return _encoder.encode(LineResult(number, status, result.seq, result.problem, result.reason)) + b"\n"


def last_line_of(summary: Summary) -> bytes:
    """The last line of the reply."""
    return _encoder.encode(summary) + b"\n"


class Outlet:
    """What was answered and is on its way to the client. Never makes the lines wait: a client that reads nothing until
    it has sent all would wait for us and we for it. What waits here is bounded by the lines that a request may have.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._news = asyncio.Event()
        self._is_closed = False
        self._is_held = False
        self.has_begun = False

    def hold(self) -> None:
        """Keep what is put until release()."""
        self._is_held = True

    def release(self) -> None:
        """Let it go."""
        self._is_held = False
        self._tell()

    def put(self, lines: bytes) -> None:
        """Answer some lines."""
        self._waiting.append(lines)
        self._tell()

    def close(self) -> None:
        """There is no more."""
        self._is_closed, self._is_held = True, False
        self._news.set()

    async def write(self, send: Send, start: Message) -> None:
        """Send a reply that begins so and holds what is put, until closed."""
        await self._news.wait()
        await send(start)
        while not (self._is_closed and not self._waiting):
            await self._news.wait()
            self._news.clear()
            if self._waiting and not self._is_held:
                body, self._waiting = b"".join(self._waiting), []
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _tell(self) -> None:
        if self._waiting and not self._is_held:
            self.has_begun = True
            self._news.set()


Work = Callable[[Outlet], Awaitable[None]]


class StreamedReply(Response):
    """Answers while `work` goes on. What it raises before anything was answered is refused as any request is."""

    media_type = MEDIA_TYPE

    def __init__(self, work: Work) -> None:
        super().__init__(headers=HANG_UP)
        del self.headers["content-length"]
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        outlet = Outlet()
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        writing = asyncio.create_task(outlet.write(send, start))
        try:
            await self._work(outlet)
            outlet.close()
            await writing
        finally:
            writing.cancel()
