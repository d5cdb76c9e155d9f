"""Waiting for a position: a store that is a list of what each look sees, and a clock that only sleeping moves."""

import asyncio
from collections.abc import Sequence

import pytest

from infra.positions import Position
from infra.settings import Settings
from query_api.read_your_writes import Applied, Checkpoint, ViewBehind

TOPIC = "playback.events"
SETTINGS = Settings(read_your_writes_wait_s=2.0, read_your_writes_poll_s=0.5, retry_after_s=7)


class World:
    """A store, seen once after another, and the time that passes between."""

    def __init__(self, seen: Sequence[Applied]) -> None:
        self.seen = list(seen)
        self.looks = 0
        self.now_s = 100.0

    async def read(self, topic: str) -> Applied:
        assert topic == TOPIC
        await asyncio.sleep(0)
        self.looks += 1
        return self.seen[min(self.looks, len(self.seen)) - 1]

    async def sleep(self, seconds: float) -> None:
        woken_at_s = self.now_s + seconds
        await asyncio.sleep(0)
        self.now_s = max(self.now_s, woken_at_s)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint("redis", self.read, SETTINGS, clock=lambda: self.now_s, sleep=self.sleep)


def at(position: int, partition: int = 3, topic: str = TOPIC) -> Position:
    return Position(topic, partition, position)


async def test_an_applied_position_is_not_waited_for() -> None:
    world = World([{3: 17}])
    await world.checkpoint().reached(TOPIC, [at(17)])
    assert (world.looks, world.now_s) == (1, 100.0)


async def test_a_position_is_waited_for_until_it_is_applied() -> None:
    world = World([{}, {3: 16}, {3: 18}])
    await world.checkpoint().reached(TOPIC, [at(17)])
    assert (world.looks, world.now_s) == (3, 101.0)


async def test_all_positions_must_be_applied() -> None:
    world = World([{3: 17, 4: 1}, {3: 17, 4: 2}])
    await world.checkpoint().reached(TOPIC, [at(17), at(2, partition=4)])
    assert world.looks == 2


async def test_the_first_position_of_a_partition_is_not_taken_for_applied() -> None:
    with pytest.raises(ViewBehind):
        await World([{}]).checkpoint().reached(TOPIC, [at(0)])


async def test_without_a_position_nothing_is_read() -> None:
    world = World([{}])
    await world.checkpoint().reached(TOPIC, [])
    assert world.looks == 0


async def test_positions_of_topics_that_the_view_is_not_folded_from_are_not_waited_for() -> None:
    world = World([{}])
    await world.checkpoint().reached(TOPIC, [at(17, topic="catalog.events")])
    assert world.looks == 0


async def test_a_view_that_stays_behind_is_said_to_be_after_the_wait() -> None:
    world = World([{3: 16, 4: 9}])
    with pytest.raises(ViewBehind) as refused:
        await world.checkpoint().reached(TOPIC, [at(17), at(9, partition=4)])
    assert world.now_s == 100.0 + SETTINGS.read_your_writes_wait_s
    assert refused.value.members == {"store": "redis", "behind": ["playback.events:3:17"]}
    assert refused.value.headers == {"Retry-After": "7"}


async def test_many_that_wait_share_each_look() -> None:
    world = World([{3: 16}, {3: 17}])
    checkpoint = world.checkpoint()
    await asyncio.gather(*(checkpoint.reached(TOPIC, [at(17)]) for _ in range(100)))
    assert world.looks == 2


async def test_one_that_gives_up_does_not_take_the_others_along() -> None:
    world = World([{3: 17}])
    checkpoint = world.checkpoint()
    first = asyncio.create_task(checkpoint.reached(TOPIC, [at(17)]))
    second = asyncio.create_task(checkpoint.reached(TOPIC, [at(17)]))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert world.looks == 1
