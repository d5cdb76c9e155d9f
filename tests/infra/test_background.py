"""Work beside requests: it goes on meanwhile, and ends with them, even if it misses that it was told to."""

import asyncio

from infra.background import beside


async def test_work_goes_on_meanwhile_and_ends_with_it() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with beside(work(), work()):
        await asyncio.sleep(0.01)
    ended_at = turns
    await asyncio.sleep(0.01)
    assert turns == ended_at > 2


async def test_work_that_misses_its_first_end_is_told_again() -> None:
    missed = 0

    async def deaf() -> None:
        nonlocal missed
        while missed < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                missed += 1

    async with asyncio.timeout(10), beside(deaf()):
        await asyncio.sleep(0)
    assert missed == 2


async def test_no_work_is_no_wait() -> None:
    async with beside():
        pass
