"""Reads that share round trips, of a Redis that takes connections and never answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.exceptions

from infra import redis as redis_client
from infra.clock import monotonic_s
from infra.settings import Settings
from query_api.redis_reads import RedisReads
from tests.query_api.little_redis import Reply, little_redis

TIMEOUT_S = 0.2
PATIENCE_S = 5.0
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
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP, timeout_s=TIMEOUT_S)
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


async def test_reads_behind_a_failed_one_fail_with_it_and_the_next_is_asked_anew() -> None:
    asked, may_answer, is_away = asyncio.Event(), asyncio.Event(), True

    async def answer(_: str, key: str) -> Reply:
        asked.set()
        await may_answer.wait()
        return ConnectionResetError() if is_away else [key.encode()]

    async with little_redis(answer) as (client, _):
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP, timeout_s=PATIENCE_S)
        first = asyncio.create_task(reads.values("a"))
        await asked.wait()
        behind = asyncio.create_task(reads.values("b"))
        await asyncio.sleep(0)
        may_answer.set()
        for failed in (first, behind):
            with pytest.raises(redis.exceptions.ConnectionError):
                await failed
        is_away = False
        assert await reads.values("c") == [b"c"]


async def echo(_: str, key: str) -> Reply:
    """The name of a key; one of them is something else than a hash."""
    return ValueError("WRONGTYPE it is no hash") if key == "wrong" else [key.encode()]


async def test_several_hashes_are_read_in_the_round_trip_of_others() -> None:
    async with little_redis(echo) as (client, spoken):
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP, timeout_s=PATIENCE_S)
        two, one = await asyncio.gather(reads.values_of("a", "b"), reads.values("c"))
        assert (two, one, spoken.round_trips) == ([[b"a"], [b"b"]], [b"c"], 1)


async def test_what_is_no_hash_fails_whoever_asked_for_it_and_nobody_else() -> None:
    async with little_redis(echo) as (client, _):
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP, timeout_s=PATIENCE_S)
        wrong, right = await asyncio.gather(reads.values_of("a", "wrong"), reads.values("c"), return_exceptions=True)
        assert isinstance(wrong, redis.exceptions.ResponseError)
        assert right == [b"c"]


async def test_a_reply_that_came_too_late_is_nobodys_afterwards() -> None:
    late = asyncio.Event()

    async def answer(_: str, key: str) -> Reply:
        if key == "slow":
            await late.wait()
        return [key.encode()]

    async with little_redis(answer) as (client, _):
        reads = RedisReads(client, max_reads=READS_IN_A_ROUND_TRIP, timeout_s=TIMEOUT_S)
        with pytest.raises(redis.exceptions.TimeoutError):
            await reads.values("slow")
        late.set()
        assert await reads.values("quick") == [b"quick"]
