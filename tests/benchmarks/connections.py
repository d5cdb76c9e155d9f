"""The least HTTP client that will do: keep-alive connections to 127.0.0.1, one request at a time on each."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.benchmarks.bench import Advance

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class Refused(Exception):
    """A reply that is neither 2xx nor 304: the benchmark, or the server, is wrong."""


class Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def exchange(self, request: bytes) -> bytes:
        """Send a request; the body of its reply. Raises Refused."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 304")):
            raise Refused(f"{head.decode()}{body.decode()}")
        return body

    def close(self) -> None:
        """Close it."""
        self._writer.close()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """This many connections to a server."""
    made = [Connection(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(count)]
    try:
        yield made
    finally:
        for connection in made:
            connection.close()


async def send_all(made: list[Connection], requests: list[bytes], advance: Advance) -> None:
    """Send every request once, each connection the next as soon as it has its reply."""
    waiting = iter(requests)

    async def send(connection: Connection) -> None:
        for request in waiting:
            await connection.exchange(request)
            advance(1)

    await asyncio.gather(*map(send, made))
