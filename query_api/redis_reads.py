"""Redis reads of many requests in one round trip: what is asked while one is under way goes together in the next."""

import asyncio

from infra.redis import Redis


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
        for values in await self._ask(*(("HVALS", key) for key in keys)):
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

    async def _ask(self, *commands: tuple[str, str]) -> list[object]:
        batch = self._batch
        if batch is None or batch.sent or len(batch.commands) + len(commands) > self._max_reads:
            batch = self._batch = _Batch(self._client, after=batch.replies if batch else None)
        place = len(batch.commands)
        batch.commands += commands
        replies = await asyncio.shield(batch.replies)  # one request that goes away does not take the others along
        asked = replies[place : place + len(commands)]
        for reply in asked:
            if isinstance(reply, Exception):
                raise reply
        return asked


class _Batch:
    """Commands that go out together, once the batch before them is answered; when that fails, they fail with it, so
    that a Redis that hangs keeps nobody waiting for longer than two of its timeouts.
    """

    def __init__(self, client: Redis, *, after: "asyncio.Task[list[object]] | None") -> None:
        self.commands: list[tuple[str, str]] = []
        self.sent = False
        before = None if after is None or after.done() else after
        self.replies: asyncio.Task[list[object]] = asyncio.create_task(self._send(client, before))

    async def _send(self, client: Redis, before: "asyncio.Task[list[object]] | None") -> list[object]:
        try:
            if before is not None:
                await before
        finally:
            self.sent = True  # nothing joins it any more, failed or not
        if len(self.commands) == 1:
            return [await client.execute_command(*self.commands[0])]  # type: ignore[no-untyped-call]
        pipeline = client.pipeline(transaction=False)
        for command in self.commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))
