"""Reads that share round trips, of a Redis that takes connections and never answers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions

from infra import redis as redis_client
from infra.clock import monotonic_s
from infra.settings import Settings
from query_api.redis_reads import RedisReads

TIMEOUT_S = 0.2
READS_IN_A_ROUND_TRIP = 4


@pytest.fixture
async def reads() -> AsyncIterator[RedisReads]:
    forever = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await forever.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as hanging:
        port = hanging.sockets[0].getsockname()[1]
        client = redis_client.connect(Settings(redis_url=f"redis://127.0.0.1:{port}/0", query_timeout_s=TIMEOUT_S))
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP)
        yield reads
        await reads.close()
        forever.set()


async def test_a_redis_that_hangs_keeps_nobody_waiting_in_line(reads: RedisReads) -> None:
    began_s = monotonic_s()
    asked = [reads.values(f"key-{number}") for number in range(20 * READS_IN_A_ROUND_TRIP)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {redis.exceptions.TimeoutError}
    assert monotonic_s() - began_s < 5 * TIMEOUT_S  # in line, one after another, they would take 20


async def test_reads_that_fail_do_not_fail_those_that_come_after(reads: RedisReads) -> None:
    for _ in range(2):
        began_s = monotonic_s()
        with pytest.raises(redis.exceptions.TimeoutError):
            await reads.values("key")
        assert monotonic_s() - began_s >= TIMEOUT_S / 2  # it was asked, and waited for


class FlakyRedis:
    """Answers when it is told to, or says that it is away."""

    def __init__(self) -> None:
        self.away = True
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def execute_command(self, *_: str) -> list[bytes]:
        self.asked.set()
        await self.answer.wait()
        if self.away:
            raise redis.exceptions.ConnectionError("away")
        return [b"row"]


async def test_reads_behind_a_failed_one_fail_with_it_and_the_next_is_asked_anew() -> None:
    client: Any = FlakyRedis()
    reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP)
    first = asyncio.create_task(reads.values("a"))
    await client.asked.wait()
    behind = asyncio.create_task(reads.values("b"))
    await asyncio.sleep(0)
    client.answer.set()
    for failed in (first, behind):
        with pytest.raises(redis.exceptions.ConnectionError):
            await failed
    client.away = False
    assert await reads.values("c") == [b"row"]


class CountingRedis:
    """Answers with the names of the keys, and counts round trips; one of them is something else than a hash."""

    def __init__(self) -> None:
        self.round_trips = 0
        self._asked: list[str] = []

    def pipeline(self, *, transaction: bool) -> "CountingRedis":
        assert not transaction
        self._asked = []
        return self

    def execute_command(self, _: str, key: str) -> None:
        self._asked.append(key)

    async def execute(self, *, raise_on_error: bool) -> list[object]:
        assert not raise_on_error
        self.round_trips += 1
        return [redis.exceptions.ResponseError() if key == "wrong" else [key.encode()] for key in self._asked]


async def test_several_hashes_are_read_in_the_round_trip_of_others() -> None:
    client: Any = CountingRedis()
    reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP)
    two, one = await asyncio.gather(reads.values_of("a", "b"), reads.values("c"))
    assert (two, one, client.round_trips) == ([[b"a"], [b"b"]], [b"c"], 1)


async def test_what_is_no_hash_fails_whoever_asked_for_it_and_nobody_else() -> None:
    client: Any = CountingRedis()
    reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP)
    wrong, right = await asyncio.gather(reads.values_of("a", "wrong"), reads.values("c"), return_exceptions=True)
    assert isinstance(wrong, redis.exceptions.ResponseError)
    assert right == [b"c"]
