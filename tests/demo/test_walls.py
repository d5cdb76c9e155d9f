"""A scene counts what is refused exactly as documented, and reports what is refused otherwise, or not at all."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from infra.settings import Settings
from playhead.demo.api import Api, Reply
from playhead.demo.ledger import Ledger
from playhead.demo.people import walls
from playhead.demo.people.mailbox import Mailbox
from playhead.demo.people.person import Person
from playhead.demo.people.register import DeviceRow, Register
from playhead.demo.people.signing import SignIn
from playhead.demo.people.walls import Walls
from playhead.demo.people.ways_in import Door
from playhead.demo.watching.evening_clock import EveningClock
from playhead.demo.watching.player import Living
from playhead.demo.watching.script import BROWSER, PHONE
from tests.demo.answering import Busy
from tests.demo.test_signing import HOME, tokens

Speak = Callable[..., Api]


def problem(status: int, slug: str, **more: object) -> Callable[[], web.Response]:
    return lambda: web.json_response({"type": f"https://playhead.example/problems/{slug}", **more}, status=status)


def person(commands: Api, register: Register, directory: Path) -> Person:
    door = Door(commands, Mailbox(Settings(state_dir=directory)), register, "evening")
    made = Person(0, door)
    made.apps[PHONE.device_id] = SignIn(commands, tokens(), HOME)
    made.account_id, made.profile_id = "ada", "ada-1"
    return made


@pytest.fixture
def looked(speak: Speak, tmp_path: Path) -> Callable[..., Awaitable[Ledger]]:
    async def look(*answers: Callable[[], web.Response]) -> Ledger:
        api, register = speak(Busy(*answers)), Register(Ledger())
        shared = Living(1, api, EveningClock(5, 3_600_000), register.ledger)
        curious = person(api, register, tmp_path)
        await Walls(shared, api, register).look_at_a_neighbour(curious, curious)
        return register.ledger

    return look


async def test_what_is_refused_as_documented_is_counted(looked: Callable[..., Awaitable[Ledger]]) -> None:
    ledger = await looked(problem(403, "not-your-profile"), problem(403, "not-your-account"))
    assert ledger.walls == {"looks at others' profiles (403)": 1, "looks at others' accounts (403)": 1}
    assert ledger.refused == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda: web.json_response({"items": []}), "not refused so: 200"),
        (problem(404, "not-your-profile"), "not refused so: 404"),
        (problem(403, "scope-missing"), "scope-missing"),
    ],
)
async def test_what_is_refused_otherwise_or_not_at_all_is_a_failure(
    looked: Callable[..., Awaitable[Ledger]], answer: Callable[[], web.Response], told: str
) -> None:
    ledger = await looked(answer, problem(403, "not-your-account"))
    assert told in ledger.refused[0]
    assert ledger.walls == {"looks at others' accounts (403)": 1}


async def test_a_copied_app_that_stays_in_is_a_failure(
    speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walls, "TAKES_EFFECT_WITHIN_S", 0.0)
    api, register = speak(Busy(lambda: web.json_response({**tokens(2), "items": []}))), Register(Ledger())
    signed_in = Reply(200, msgspec.json.encode(tokens()), (), 0.0)
    register.signed_in(signed_in, DeviceRow("ada", "Laptop", "web"), "password")
    shared = Living(1, api, EveningClock(5, 3_600_000), register.ledger)
    owner = person(api, register, tmp_path)
    owner.apps[BROWSER.device_id] = owner.apps.pop(PHONE.device_id)
    await Walls(shared, api, register).copy_an_app(owner)
    assert [line.partition(" not refused")[0] for line in register.ledger.refused] == [
        "refresh tokens of copied apps (invalid_grant)",
        "refresh tokens of copied apps (invalid_grant)",
        "sign-ins of copied apps (401)",
    ]
