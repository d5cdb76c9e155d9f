"""A client of server-sent events, as the HTML standard has one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import msgspec

TIMEOUT_S = 30.0
"""Until something comes."""


class Received(NamedTuple):
    """An event, or a comment (`event` ":"). `id`: as it stood when the event came."""

    event: str
    data: Any
    id: str | None


class Listener:
    """An open stream. `retry_ms`: when it said to come back; `last_id`: what to come back with."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.retry_ms: int | None = None
        self.last_id: str | None = None
        self._events = self._parsed()

    async def next(self) -> Received:
        """The next event or comment. Raises StopAsyncIteration at the end."""
        return await anext(self._events)

    async def until(self, event: str) -> Received:
        """The next one of a name."""
        async for each in self._events:
            if each.event == event:
                return each
        raise AssertionError(f"the stream ended without {event!r}")

    async def rest(self) -> list[Received]:
        """All that come until it ends."""
        return [each async for each in self._events]

    async def _parsed(self) -> AsyncIterator[Received]:
        name, data = "message", ""
        async for line in self.response.aiter_lines():
            field, _, value = line.partition(": ")
            match field:
                case "" if value:
                    yield Received(":", value, self.last_id)
                case "":
                    if data:
                        yield Received(name, msgspec.json.decode(data), self.last_id)
                    name, data = "message", ""
                case "event":
                    name = value
                case "data":
                    data += value
                case "id":
                    self.last_id = value
                case "retry":
                    self.retry_ms = int(value)


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, path: str, *, after: str | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """A stream while it is open; `after`: the id to go on from."""
    more = {} if after is None else {"Last-Event-ID": after}
    async with client.stream("GET", path, headers={**(headers or {}), **more}, timeout=TIMEOUT_S) as response:
        assert response.status_code == 200, (await response.aread()).decode()
        yield Listener(response)
