"""Redis reads of many requests in one round trip: what is asked while one is under way goes together in the next. Keys
are given as those of a view's first version, and read as those of the live one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Optional, TypeAlias

from infra import live_views
from infra.clock import monotonic_s
from infra.redis import Redis, round_trip
from query_api.live_views import LiveNames

Command: TypeAlias = tuple[str, str]
LIVE: Final = ("HGETALL", live_views.IN_REDIS)


class RedisReads:
    """Reads whole hashes. One round trip is under way at a time, with at most `max_reads` reads in it, for at most
    `timeout_s`; now and then it asks what is live as well.
    """

    def __init__(self, client: Redis, *, max_reads: int, timeout_s: float, names: LiveNames | None = None) -> None:
        self._client = _Named(client, timeout_s, names)
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

    async def applied(self, projection: str) -> list[dict[bytes, bytes]]:
        """The checkpoints of a projection, and those of the rebuilds that keep a live version instead of it, which are
        looked for after them: what a checkpoint has applied is in the version that is live then, or becomes so with a
        rebuild. Raises the client's errors.
        """
        asked_at_s = monotonic_s()
        own, live = await self._ask(("HGETALL", live_views.checkpoints_in_redis(projection)), LIVE)
        assert isinstance(own, dict)
        self._client.learn(live, asked_at_s)
        kept = [live_views.checkpoints_in_redis(each) for each in self._client.kept_elsewhere()]
        return [own, *[await self.fields(key) for key in kept]]

    def name_of(self, view: str) -> str:
        """Under which name a view is read now."""
        return self._client.name_of(view)

    async def ping(self) -> None:
        """A sign of life."""
        await self._client.redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.redis.aclose()

    async def _ask(self, *commands: Command) -> list[object]:
        batch = self._batch
        if batch is None or batch.sent or batch.size + len(commands) > self._max_reads:
            batch = self._batch = _Batch(self._client, after=batch)
        replies = await batch.add(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies


class _Named:
    """The client, with keys as the live versions have them."""

    def __init__(self, client: Redis, timeout_s: float, names: LiveNames | None) -> None:
        self.redis = client
        self._timeout_s = timeout_s
        self._names = names

    async def send(self, commands: Sequence[Command]) -> list[object]:
        """Send commands in one round trip; in a second one if that shows that another version has become live."""
        names = self._names
        if names is None or not names.is_due:
            return await self._send(self._named(commands))
        asked_at_s, named = monotonic_s(), self._named(commands)
        *replies, live = await self._send([*named, LIVE])
        self.learn(live, asked_at_s)
        now_named = self._named(commands)
        return replies if named == now_named else await self._send(now_named)

    def learn(self, live: object, asked_at_s: float) -> None:
        """Take the reply to LIVE. An error changes nothing, and is asked for again."""
        if self._names is not None and isinstance(live, dict):
            with suppress(ValueError):  # somebody else wrote there
                self._names.learn(live_views.decoded(live), asked_at_s)

    def kept_elsewhere(self) -> list[str]:
        """The projections of rebuilds that keep live versions."""
        return [] if self._names is None else self._names.kept_elsewhere()

    def name_of(self, view: str) -> str:
        """Under which name a view is live."""
        return view if self._names is None else self._names.renamed.get(view, view)

    def _named(self, commands: Sequence[Command]) -> Sequence[Command]:
        if self._names is None or not (renamed := self._names.renamed):
            return commands
        keys = [(verb, key.partition(":")) for verb, key in commands]
        return [(verb, f"{renamed.get(view, view)}{colon}{rest}") for verb, (view, colon, rest) in keys]

    async def _send(self, commands: Sequence[Command]) -> list[object]:
        return await round_trip(self.redis, commands, timeout_s=self._timeout_s)


class _Batch:
    """Commands that go out together, once the batch before them is answered; when that fails, they fail with it, so
    that a Redis that hangs keeps nobody waiting for longer than two of its timeouts. Each who asks waits for a future
    of their own, so one request that goes away does not take the others along.
    """

    def __init__(self, client: _Named, *, after: Optional["_Batch"]) -> None:
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

    async def _send(self, client: _Named, before: "asyncio.Task[list[object]] | None") -> list[object]:
        try:
            if before is not None:
                await before
        finally:
            self.sent = True  # nothing joins it any more, failed or not
        commands = [command for _, asked in self._asked for command in asked]
        return await client.send(commands)

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
