"""Passwords: which are taken, what is hashed, and how much of it at a time."""

import asyncio
import threading

import pytest

from commands.identity.passwords import Passwords
from commands.identity.refusals import PasswordsBusy, PasswordWeak
from infra.settings import Settings

QUICK = Settings(password_hash_memory_kib=8, password_hash_passes=1)
GOOD = "kitchen-table-7-Walnut"
MINE = "ann@example.com"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(QUICK)


async def test_a_password_is_hashed_with_argon2id_at_the_cost_of_the_settings(passwords: Passwords) -> None:
    assert (await passwords.hash(GOOD)).startswith("$argon2id$v=19$m=8,t=1,p=1$")


async def test_the_password_that_was_hashed_is_told_from_another(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, hashed)
    assert not await passwords.verify(GOOD + " ", hashed)


async def test_the_same_password_never_has_the_same_hash(passwords: Passwords) -> None:
    assert await passwords.hash(GOOD) != await passwords.hash(GOOD)


async def test_a_hash_that_cannot_be_read_is_no_ones(passwords: Passwords) -> None:
    assert not await passwords.verify(GOOD, "$argon2id$broken")


async def test_nobodys_password_costs_as_many_computations_as_somebodys(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    before = passwords.computed
    await passwords.verify("wrong", hashed)
    somebodys = passwords.computed - before
    assert not await passwords.verify("wrong", None)
    assert passwords.computed - before == 2 * somebodys


async def test_a_hash_of_another_cost_is_outdated(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    assert not passwords.is_outdated(hashed)
    assert Passwords(QUICK.model_copy(update={"password_hash_passes": 2})).is_outdated(hashed)


async def test_one_password_composed_in_two_ways_is_the_same(passwords: Passwords) -> None:
    assert await passwords.verify("ｐａｓｓé", await passwords.hash("passe\u0301"))


@pytest.mark.parametrize(
    "weak",
    [
        "password1",
        "Password1!",
        "qwertyuiop",
        "12345678901234",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "letmein!!",
        "ann@example.com",
        "annannann1",
        "playhead1",
        "short-7",
        "",
        "null\x00" + GOOD,
        "é" * 300,
        GOOD * 100,
        "ﷺ" * 20,  # one character that is eighteen when it is normalised
    ],
)
async def test_a_weak_password_is_refused_with_reasons(passwords: Passwords, weak: str) -> None:
    with pytest.raises(PasswordWeak) as refused:
        await passwords.check(weak, of=MINE)
    assert refused.value.members["reasons"]


@pytest.mark.parametrize(
    "good",
    [GOOD, "correct horse battery", "비밀번호는 길고 기억하기 쉬워야", "'; drop table x;--", "🦉🐝🌳🎈🧊🪁🎲🐙🚲🧭🎷"],
)
async def test_a_password_of_any_characters_is_taken(passwords: Passwords, good: str) -> None:
    await passwords.check(good, of=MINE)


async def test_a_refusal_does_not_repeat_the_password(passwords: Passwords) -> None:
    with pytest.raises(PasswordWeak) as refused:
        await passwords.check("annannann1", of=MINE)
    assert "annannann1" not in f"{refused.value.detail}{refused.value.members}"


class Held(Passwords):
    """Computes nothing before it is let go."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.let_go = threading.Event()
        self._hasher.hash = self._held  # type: ignore[method-assign,assignment]

    def _held(self, _: str) -> str:
        self.let_go.wait(10)
        return "hash"


async def test_more_than_may_wait_are_refused_and_told_when_to_come_back() -> None:
    held = Held(Settings(password_hash_max_concurrency=1, password_hash_max_waiting=2))
    waiting = [asyncio.create_task(held.hash(GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(PasswordsBusy) as refused:
        await held.hash(GOOD)
    assert refused.value.headers["Retry-After"] == "2"
    held.let_go.set()
    assert list(await asyncio.gather(*waiting)) == ["hash"] * 3
    assert await held.hash(GOOD) == "hash"


async def test_who_goes_away_makes_room() -> None:
    held = Held(Settings(password_hash_max_concurrency=1, password_hash_max_waiting=1))
    waiting = [asyncio.create_task(held.hash(GOOD)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    again = asyncio.create_task(held.hash(GOOD))
    await asyncio.sleep(0)
    held.let_go.set()
    assert list(await asyncio.gather(waiting[0], again)) == ["hash"] * 2
