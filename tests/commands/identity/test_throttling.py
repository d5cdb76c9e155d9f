"""Attempts that are counted in one process, Redis being away; tests/integration/test_identity_accounts.py has Redis."""

import asyncio
from datetime import timedelta

import pytest

from commands.identity.refusals import CredentialsWrong, PasswordsBusy, TooManyAttempts
from commands.identity.sign_in_limits import (
    device_token,
    known_device,
    limits_of_device,
    limits_of_strangers,
    place_of,
)
from commands.identity.throttling import Limit, Throttle
from infra import redis
from infra.personal_data import MasterKey
from infra.settings import Settings
from tests.spec import NOON

NOWHERE = Settings(redis_url="redis://127.0.0.1:1/0", throttle_entries_max=100)
MASTER = MasterKey.alone(b"a key for tests")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> object:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(redis.connect(NOWHERE), MASTER, NOWHERE, clock)  # type: ignore[arg-type]


def limit(whom: str = "ann", most: int = 3) -> Limit:
    return Limit("test", whom, most, 60)


async def fail(throttle: Throttle, *limits: Limit) -> None:
    with pytest.raises(CredentialsWrong):
        async with throttle.attempt(*limits):
            raise CredentialsWrong("wrong")


async def test_failures_count_until_there_are_too_many(throttle: Throttle) -> None:
    for _ in range(3):
        await fail(throttle, limit())
    with pytest.raises(TooManyAttempts) as refused:
        await throttle.take(limit())
    assert refused.value.headers["Retry-After"] == "60"


async def test_a_window_that_is_over_is_forgotten(throttle: Throttle, clock: Clock) -> None:
    for _ in range(3):
        await fail(throttle, limit())
    clock.now += timedelta(seconds=60)
    await throttle.take(limit())


async def test_what_succeeds_does_not_count_and_neither_does_what_was_not_tried(throttle: Throttle) -> None:
    for _ in range(10):
        async with throttle.attempt(limit()):
            pass
        with pytest.raises(PasswordsBusy):
            async with throttle.attempt(limit()):
                raise PasswordsBusy("busy")
    assert await throttle.left(limit()) == 3


async def test_who_goes_away_before_the_answer_is_counted(throttle: Throttle) -> None:
    async def attempt() -> None:
        async with throttle.attempt(limit()):
            await asyncio.sleep(10)

    trying = asyncio.create_task(attempt())
    while await throttle.left(limit()) == 3:
        await asyncio.sleep(0)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert await throttle.left(limit()) == 2


async def test_a_refused_attempt_takes_no_place_elsewhere(throttle: Throttle) -> None:
    full, free = limit("full", 1), limit("free")
    await throttle.take(full)
    with pytest.raises(TooManyAttempts):
        await throttle.take(free, full)
    assert await throttle.left(free) == 3


async def test_what_is_counted_of_one_says_nothing_of_another(throttle: Throttle) -> None:
    for _ in range(3):
        await fail(throttle, limit("ann"))
    await throttle.take(limit("bob"))


async def test_what_is_forgotten_is_not_counted_any_more(throttle: Throttle) -> None:
    for _ in range(3):
        await fail(throttle, limit())
    await throttle.forget(limit())
    assert await throttle.left(limit()) == 3


async def test_counters_in_a_process_are_bounded(throttle: Throttle) -> None:
    for number in range(300):
        await throttle.take(limit(str(number)))
    assert len(throttle._local) == 100


def test_no_counter_is_named_after_whom_it_counts(throttle: Throttle) -> None:
    assert "ann" not in throttle._key(limit("ann@example.com"))


def test_a_device_token_is_known_for_its_account_alone() -> None:
    token = device_token(MASTER, "a1", "tv-1")
    assert known_device(MASTER, "a1", token) == "tv-1"
    for other in (None, "", "tv-1", "tv-1.", token[:-1], token.replace("tv-1", "tv-2"), "é" + token, token + "é"):
        assert known_device(MASTER, "a1", other) is None
    assert known_device(MASTER, "a2", token) is None


def test_a_known_device_shares_no_counter_with_strangers() -> None:
    strangers = limits_of_strangers(NOWHERE, "192.0.2.1", "a1")
    assert {each.kind for each in limits_of_device(NOWHERE, "a1", "tv-1")}.isdisjoint(each.kind for each in strangers)


@pytest.mark.parametrize(
    ("client", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_who_may_take_any_address_of_a_network_is_in_one_place(client: str, place: str) -> None:
    assert place_of(client) == place
