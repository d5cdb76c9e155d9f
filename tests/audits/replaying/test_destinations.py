"""What may be replayed where, and how an HTTP endpoint gets it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audits.replaying.destinations import (
    LIVE,
    DestinationAway,
    DestinationRefused,
    EventRefused,
    ToUrl,
    check_topic,
)
from events.topics import PLAYBACK
from infra.settings import Settings
from tests.audits.replaying.events import happened
from tests.serving import serving

QUICK = Settings(replay_retry_base_s=0.001, replay_max_tries=4, replay_timeout_s=5)
Answer = Callable[[int], int]


class Receiver:
    """An endpoint for CloudEvents. `answer`: the status of the nth request with the same body, from 0."""

    def __init__(self, answer: Answer = lambda _: 202) -> None:
        self._answer = answer
        self.requests: list[tuple[bytes, dict[str, str]]] = []
        self.app = Starlette(routes=[Route("/events", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        before = sum(taken == body for taken, _ in self.requests)
        self.requests.append((body, dict(request.headers)))
        return Response(status_code=self._answer(before))


@asynccontextmanager
async def sending_to(receiver: Receiver) -> AsyncIterator[ToUrl]:
    async with serving(receiver.app) as url:
        destination = ToUrl(f"{url}/events", "replay-1", QUICK, {"Authorization": "Bearer of-theirs"})
        await destination.open()
        try:
            yield destination
        finally:
            await destination.close()


async def test_an_endpoint_gets_the_very_bytes_marked_as_a_replay() -> None:
    receiver = Receiver()
    async with sending_to(receiver) as destination:
        await (await destination.begin(happened(7)))
    [(body, headers)] = receiver.requests
    assert body == happened(7).value
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["playhead-replay"] == "replay-1"
    assert headers["authorization"] == "Bearer of-theirs"


async def test_events_of_a_key_arrive_in_order_though_some_are_sent_again() -> None:
    receiver = Receiver(lambda before: 200 if before == 2 else 503)
    async with sending_to(receiver) as destination:
        sent = [await destination.begin(happened(at, f"key-{at % 2}")) for at in range(12)]
        await asyncio.gather(*sent)
    for key in range(2):
        of_key = [happened(at, f"key-{key}").value for at in range(key, 12, 2)]
        arrived = [body for body, _ in receiver.requests if body in of_key]
        assert arrived == [body for body in of_key for _ in range(3)]


async def test_an_event_that_is_refused_is_not_sent_again() -> None:
    receiver = Receiver(lambda _: 422)
    async with sending_to(receiver) as destination:
        with pytest.raises(EventRefused, match="status 422"):
            await (await destination.begin(happened(0)))
    assert len(receiver.requests) == 1


async def test_an_endpoint_that_takes_nothing_is_given_up_and_nothing_of_the_key_overtakes() -> None:
    receiver = Receiver(lambda _: 503)
    async with sending_to(receiver) as destination:
        first, second = await destination.begin(happened(0)), await destination.begin(happened(1))
        for sent in (first, second):
            with pytest.raises(DestinationAway):
                await sent
    assert [body for body, _ in receiver.requests] == [happened(0).value] * QUICK.replay_max_tries


async def test_an_endpoint_that_is_not_there_is_given_up() -> None:
    async with serving(Receiver().app) as url:
        pass
    destination = ToUrl(f"{url}/events", "replay-1", QUICK, {})
    await destination.open()
    with pytest.raises(DestinationAway, match="in 4 tries"):
        await (await destination.begin(happened(0)))
    await destination.close()


@pytest.mark.parametrize("topic", sorted(LIVE))
def test_nothing_is_replayed_into_a_topic_of_the_installation(topic: str) -> None:
    with pytest.raises(DestinationRefused, match=topic):
        check_topic(topic, forced=False, confirmed=None)
    with pytest.raises(DestinationRefused):
        check_topic(topic, forced=True, confirmed=None)
    with pytest.raises(DestinationRefused):
        check_topic(topic, forced=False, confirmed=topic)


@pytest.mark.parametrize("topic", sorted(LIVE - {PLAYBACK.name}))
def test_what_others_write_cannot_be_forced(topic: str) -> None:
    with pytest.raises(DestinationRefused, match="forced or not"):
        check_topic(topic, forced=True, confirmed=topic)


def test_playback_can_be_forced_by_who_says_twice_what_it_is() -> None:
    check_topic(PLAYBACK.name, forced=True, confirmed=PLAYBACK.name)
    with pytest.raises(DestinationRefused):
        check_topic(PLAYBACK.name, forced=True, confirmed="playback.event")


@pytest.mark.parametrize("topic", ["__consumer_offsets", ""])
def test_what_is_no_topic_for_events_is_refused(topic: str) -> None:
    with pytest.raises(DestinationRefused):
        check_topic(topic, forced=True, confirmed=topic)


def test_any_other_topic_may_be_replayed_into() -> None:
    check_topic("load-test", forced=False, confirmed=None)
