"""Partitions in pieces of any size, as one: by time, then partition by partition, each in its own order."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.history.chunks import Chunk
from audits.history.events import HistoryEvent
from audits.history.merging import merged
from audits.sources import Source

pieces = st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=5)


def in_order(partition: list[list[int]]) -> list[list[int]]:
    """The same pieces, their times ascending from one to the next."""
    times = iter(sorted(time for piece in partition for time in piece))
    return [[next(times) for _ in piece] for piece in partition]


async def chunks_of(number: int, partition: list[list[int]]) -> AsyncGenerator[Chunk]:
    offset = 0
    for piece in partition:
        events = [
            HistoryEvent(Source.KAFKA, "t", number, offset + place, None, time, None, b"")
            for place, time in enumerate(piece)
        ]
        offset += len(piece)
        await asyncio.sleep(0)
        yield Chunk(piece, events)


async def all_of(partitions: list[list[list[int]]]) -> list[tuple[int, int, int | None]]:
    slabs = merged([chunks_of(number, partition) for number, partition in enumerate(partitions)])
    return [(event.history_time_us, event.partition, event.offset) async for slab in slabs for event in slab]


@given(st.lists(pieces.map(in_order), max_size=5))
def test_whatever_pieces_come_the_order_is_one(partitions: list[list[list[int]]]) -> None:
    found = asyncio.run(all_of(partitions))
    assert found == sorted(found, key=lambda place: (*place[:2], place[2] or 0))
    assert len(found) == sum(len(piece) for partition in partitions for piece in partition)


async def test_what_fails_in_one_partition_fails_the_whole_and_ends_the_others() -> None:
    ended = []

    async def failing() -> AsyncGenerator[Chunk]:
        yield Chunk([], [])
        raise OSError("away")

    async def waiting() -> AsyncGenerator[Chunk]:
        try:
            await asyncio.sleep(3600)
            yield Chunk([], [])
        finally:
            ended.append(True)

    with pytest.raises(OSError, match="away"):
        async with asyncio.timeout(30):
            async for _ in merged([failing(), waiting()]):
                pass
    assert ended == [True]
