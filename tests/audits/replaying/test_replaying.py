"""A replay sends everything, when it is due, and knows from where to go on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from audits.history.events import HistoryEvent
from audits.replaying.destinations import DestinationAway, EventRefused
from audits.replaying.pace import pace_of
from audits.replaying.replaying import Replay
from infra.settings import Settings
from tests.audits.replaying.events import happened


class Slow:
    """A destination that answers when it is told to."""

    def __init__(self) -> None:
        self.begun: list[int | None] = []
        self.answers: dict[int | None, asyncio.Future[None]] = {}

    async def open(self) -> None:
        """Nothing."""

    async def begin(self, event: HistoryEvent) -> Awaitable[None]:
        self.begun.append(event.offset)
        self.answers[event.offset] = asyncio.get_running_loop().create_future()
        return self.answers[event.offset]

    async def close(self) -> None:
        """Nothing."""


async def events(*each: HistoryEvent) -> AsyncIterator[HistoryEvent]:
    for event in each:
        yield event


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


def replay_to(destination: Slow, speed: str = "max", **settings: int) -> Replay:
    return Replay(destination, pace_of(speed, None), Settings.model_validate(settings))


async def test_no_more_are_on_their_way_than_may_be() -> None:
    slow = Slow()
    replay = replay_to(slow, replay_inflight_max_events=2)
    running = asyncio.create_task(replay.run(events(*map(happened, range(4)))))
    await settled()
    assert slow.begun == [0, 1]
    slow.answers[1].set_result(None)
    await settled()
    assert slow.begun == [0, 1, 2]
    for number in (0, 2, 3):
        await settled()
        slow.answers[number].set_result(None)
    await running
    assert replay.told.sent == 4


async def test_it_goes_on_after_the_last_before_which_nothing_is_open() -> None:
    slow = Slow()
    replay = replay_to(slow)
    running = asyncio.create_task(replay.run(events(*map(happened, range(4)))))
    await settled()
    for number, taken in ((2, None), (0, 0), (1, 2)):
        slow.answers[number].set_result(None)
        await settled()
        assert (replay.taken and replay.taken.offset) == taken
    slow.answers[3].set_exception(DestinationAway("gone"))
    with pytest.raises(DestinationAway, match="gone"):
        await running
    assert replay.taken
    assert replay.taken.offset == 2


async def test_what_is_refused_is_counted_and_the_rest_goes_on() -> None:
    slow = Slow()
    replay = replay_to(slow)
    running = asyncio.create_task(replay.run(events(happened(0), happened(1))))
    await settled()
    slow.answers[0].set_exception(EventRefused("status 422"))
    slow.answers[1].set_result(None)
    await running
    assert (replay.told.sent, replay.told.refused) == (1, {"status 422": 1})


async def test_events_wait_until_they_are_due() -> None:
    slow, slept, now_s = Slow(), list[float](), 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(seconds)
        now_s += seconds

    replay = Replay(slow, pace_of("2x", None), Settings(), sleep=sleep, now_s=lambda: now_s)
    running = asyncio.create_task(replay.run(events(*(happened(at, second=at) for at in (0, 4, 10)))))
    await settled()
    for answer in slow.answers.values():
        answer.set_result(None)
    await running
    assert slept == [2, 3]
