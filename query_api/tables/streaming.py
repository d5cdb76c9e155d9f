"""A reply that is longer than a page: pieces as they are read, each in bounded time and memory.

Who reads too slowly holds one piece, and who goes away ends the reading: the next piece is only read when the one
before was taken.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from infra.http.problems import Problem
from infra.http.request_bounds import more_time
from query_api.stores import STORE_UNAVAILABLE, StoreUnavailable


class CutOff(Exception):
    """The reply ends here, unfinished."""


class Pieces(StreamingResponse):
    """The reply. After CutOff it is not brought to its end, so that no client takes it for whole."""

    async def stream_response(self, send: Send) -> None:
        """Send the pieces as they come."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for piece in self.body_iterator:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except CutOff:
            return  # the server closes the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def in_time(
    request: Request, pieces: AsyncIterator[bytes], *, timeout_s: float, cut: Callable[[Problem], bytes]
) -> AsyncIterator[bytes]:
    """The pieces, each with so long to be read and to be taken. A store that fails meanwhile is told by `cut` as the
    last piece; raises CutOff then.
    """
    more_time(request.scope, timeout_s)
    try:
        async for piece in pieces:
            yield piece
            await asyncio.sleep(0)  # whoever else is to be served has a turn, and whoever left is noticed
            more_time(request.scope, timeout_s)
    except StoreUnavailable as refusal:
        yield cut(Problem(STORE_UNAVAILABLE, str(refusal), request.url.path, refusal.members))
        raise CutOff from refusal
