"""A worker's question to Kafka: who owes an answer is not there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from projections.errors import StoreUnavailable
from projections.pulse import Pulse


class Kafka:
    """Answers, refuses, or stands still."""

    def __init__(self) -> None:
        self.reply: Callable[[], Awaitable[None]] = self.answers

    async def asked(self) -> None:
        await self.reply()

    async def answers(self) -> None:
        """As one that is there."""

    async def refuses(self) -> None:
        raise StoreUnavailable("connection refused")

    async def stands_still(self) -> None:
        await asyncio.sleep(60)


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def pulse(kafka: Kafka) -> Pulse:
    return Pulse(kafka.asked, silent_after_s=0.02)


async def test_before_anything_was_asked_nothing_is_owed(pulse: Pulse) -> None:
    assert pulse.missing() == {}


async def test_one_question_without_an_answer_is_no_silence_yet(pulse: Pulse, kafka: Kafka) -> None:
    kafka.reply = kafka.refuses
    await pulse.ask_once()
    assert pulse.missing() == {}


async def test_silence_is_counted_from_the_first_question_without_an_answer(pulse: Pulse, kafka: Kafka) -> None:
    kafka.reply = kafka.refuses
    await pulse.ask_once()
    await asyncio.sleep(0.03)
    await pulse.ask_once()
    assert pulse.missing() == {"kafka": "silent for 0 s"}


async def test_a_kafka_that_stands_still_is_silent_while_it_is_asked(pulse: Pulse, kafka: Kafka) -> None:
    kafka.reply = kafka.stands_still
    asking = asyncio.create_task(pulse.ask_once())
    await asyncio.sleep(0.03)
    assert set(pulse.missing()) == {"kafka"}
    asking.cancel()


async def test_an_answer_ends_the_silence(pulse: Pulse, kafka: Kafka) -> None:
    kafka.reply = kafka.refuses
    await pulse.ask_once()
    await asyncio.sleep(0.03)
    kafka.reply = kafka.answers
    await pulse.ask_once()
    assert pulse.missing() == {}
