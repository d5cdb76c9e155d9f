"""A way to Redis that a test can cut and mend, whoever runs the server."""

import asyncio
import socket
from urllib.parse import urlsplit

from infra.settings import Settings


class Link:
    """A way to Redis that can be cut."""

    def __init__(self, settings: Settings) -> None:
        self._redis = urlsplit(settings.redis_url)
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}{self._redis.path}"

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._port)

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_redis, to_redis = await asyncio.open_connection(self._redis.hostname, self._redis.port)
        self._writers += [writer, to_redis]
        await asyncio.gather(_copy(reader, to_redis), _copy(from_redis, writer), return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()
