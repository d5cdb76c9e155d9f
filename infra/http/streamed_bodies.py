"""Reads a body piece by piece, however long it is: bounded in bytes (inflated), in how long it may pause, and in how
long the whole request may take. A route that reads so is no longer under the bounds of request_bounds.py.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request

from infra.http.inflating import TAKEN, EncodingUnknown
from infra.http.inflating_streams import InflatingStream
from infra.http.protocol import CONNECTION
from infra.http.request_bounds import stream_body


class StreamBounds(NamedTuple):
    """`max_bytes`: inflated. `idle_s`: until more of the body arrives. `timeout_s`: for the request, from now."""

    max_bytes: int
    idle_s: float
    timeout_s: float


class StreamedBody:
    """The body of a request under bounds of its own, which hold from now. Raises HTTPException 413 and 415.

    Make it once it is known that the caller may send one.
    """

    def __init__(self, request: Request, bounds: StreamBounds) -> None:
        coding = stream_body(request.scope, max_bytes=bounds.max_bytes, timeout_s=bounds.timeout_s)
        connection = request.scope.get(CONNECTION)
        if connection is not None:
            connection.await_body(bounds.timeout_s)
        self._bounds = bounds
        self._received = request.stream()
        self._inflating = _inflating(coding) if coding else None
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > bounds.max_bytes:
            raise self._too_large()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, a bounded piece at a time; an empty piece says that nothing more has arrived yet.

        Raises HTTPException 408 and 413, EncodingMalformed, and ClientDisconnect.
        """
        left = self._bounds.max_bytes
        while (received := await self._next()) is not None:
            for piece in self._inflating.feed(received) if self._inflating else (received,):
                left -= len(piece)
                if left < 0:
                    raise self._too_large()
                if piece:
                    yield piece
            yield b""
        if self._inflating is not None:
            self._inflating.end()

    async def discard(self, within_s: float) -> None:
        """Read what is left of a body that is not wanted, for so long at most: who is still sending when the connection
        is closed would lose the reply with it.
        """
        try:
            async with asyncio.timeout(within_s):
                async for _ in self._received:
                    pass
        except (TimeoutError, HTTPException):
            return

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._bounds.idle_s):
                return await anext(self._received, None)
        except TimeoutError as error:
            detail = f"nothing more of the body arrived in {self._bounds.idle_s:g} s; send it faster"
            raise HTTPException(408, detail) from error

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"a body may hold {self._bounds.max_bytes} bytes here, inflated; split it")


def _inflating(coding: bytes) -> InflatingStream:
    try:
        return InflatingStream(coding)
    except EncodingUnknown as error:
        shown = repr(coding[:40].decode("latin-1"))
        detail = f"Content-Encoding is {shown}; one of {TAKEN} is taken here, or none"
        raise HTTPException(415, detail, {"Accept-Encoding": TAKEN}) from error
