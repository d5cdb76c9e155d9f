"""Redis reads of many requests in one round trip: what is asked while one is under way goes together in the next."""

import asyncio
from typing import Optional, TypeAlias

from infra.redis import Redis

Command: TypeAlias = tuple[str, str]


class RedisReads:
    """Reads whole hashes. One round trip is under way at a time, with at most `max_reads` reads in it."""

    def __init__(self, client: Redis, *, max_reads: int) -> None:
        self._client = client
        self._max_reads = max_reads
        self._batch: _Batch | None = None

    async def values(self, key: str) -> list[bytes]:
        """The values of a hash; none when there is no such key. Raises the client's errors."""
        [values] = await self.values_of(key)
        return values

    async def values_of(self, *keys: str) -> list[list[bytes]]:
        """The values of each of some hashes, in the same round trip. Raises the client's errors."""
        found: list[list[bytes]] = []
        for values in await self._ask(*[("HVALS", key) for key in keys]):
            assert isinstance(values, list)
            found.append(values)
        return found

    async def fields(self, key: str) -> dict[bytes, bytes]:
        """A hash; empty when there is no such key. Raises the client's errors."""
        [fields] = await self._ask(("HGETALL", key))
        assert isinstance(fields, dict)
        return fields

    async def ping(self) -> None:
        """A sign of life."""
        await self._client.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, *commands: Command) -> list[object]:
        batch = self._batch
        if batch is None or batch.sent or batch.size + len(commands) > self._max_reads:
            batch = self._batch = _Batch(self._client, after=batch)
        replies = await batch.add(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


class _Batch:
    """Commands that go out together, once the batch before them is answered; when that fails, they fail with it, so
    that a Redis that hangs keeps nobody waiting for longer than two of its timeouts. Each who asks waits for a future
    of their own, so one request that goes away does not take the others along.
    """

    def __init__(self, client: Redis, *, after: Optional["_Batch"]) -> None:
        self.size = 0
        self.sent = False
        self._asked: list[tuple[asyncio.Future[list[object]], tuple[Command, ...]]] = []
        self._loop = asyncio.get_running_loop()
        before = None if after is None or after._replies.done() else after._replies
        self._replies: asyncio.Task[list[object]] = self._loop.create_task(self._send(client, before))
        self._replies.add_done_callback(self._hand_out)

    def add(self, commands: tuple[Command, ...]) -> "asyncio.Future[list[object]]":
        """The replies to some commands, once they are there."""
        waiting: asyncio.Future[list[object]] = self._loop.create_future()
        self._asked.append((waiting, commands))
        self.size += len(commands)
        return waiting

    async def _send(self, client: Redis, before: "asyncio.Task[list[object]] | None") -> list[object]:
        try:
            if before is not None:
                await before
        finally:
            self.sent = True  # nothing joins it any more, failed or not
        commands = [command for _, asked in self._asked for command in asked]
        if len(commands) == 1:
            return [await client.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))

    def _hand_out(self, replies: "asyncio.Task[list[object]]") -> None:
        error = None if replies.cancelled() else replies.exception()
        place = 0
        for waiting, commands in self._asked:
            if waiting.done():  # whoever asked went away
                pass
            elif replies.cancelled():
                waiting.cancel()
            elif error is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(replies.result()[place : place + len(commands)])
            place += len(commands)
