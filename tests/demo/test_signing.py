"""An app renews its tokens once for all who wait, and people come in by the three ways that there are."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from aiohttp import web

from infra.settings import Settings
from playhead.demo.api import Api, Refused
from playhead.demo.ledger import Ledger
from playhead.demo.people import ways_in
from playhead.demo.people.mailbox import Mailbox
from playhead.demo.people.person import Person, home_of
from playhead.demo.people.register import Register
from playhead.demo.people.signing import SignIn
from playhead.demo.people.ways_in import Credentials, Door, by_code, by_password
from playhead.demo.watching.script import PHONE, TELEVISION
from tests.demo.answering import Busy

HOME = "2001:db8::1"
Speak = Callable[..., Api]


def tokens(number: int = 1) -> dict[str, Any]:
    ids = {"account_id": "ada", "device_id": "tv", "sign_in_id": "one", "profile_id": "ada-1", "scope": "playback"}
    return {"access_token": f"access {number}", "refresh_token": f"refresh {number}", **ids}


def granted(number: int = 1) -> Callable[[], web.Response]:
    return lambda: web.json_response(tokens(number))


def refused(status: int, **body: object) -> Callable[[], web.Response]:
    return lambda: web.json_response(body, status=status)


def door(api: Api, settings: Settings) -> Door:
    return Door(api, Mailbox(settings), Register(Ledger()), "evening")


async def test_of_two_who_find_the_token_refused_one_renews_it(speak: Speak) -> None:
    busy = Busy(granted(2))
    app = SignIn(speak(busy), tokens(), HOME)
    assert all(await asyncio.gather(app.renew("access 1"), app.renew("access 1")))
    assert (app.token, app.refresh_token, app.refreshed) == ("access 2", "refresh 2", 1)
    assert [parse_qs(body.decode()) for body in busy.bodies] == [
        {"grant_type": ["refresh_token"], "refresh_token": ["refresh 1"]}
    ]
    assert busy.headers[0]["Content-Type"] == "application/x-www-form-urlencoded"


async def test_an_app_whose_sign_in_has_ended_keeps_what_it_has(speak: Speak) -> None:
    app = SignIn(speak(Busy(refused(400, error="invalid_grant"))), tokens(), HOME)
    assert not await app.renew("access 1")
    assert (app.token, app.refreshed) == ("access 1", 0)


async def test_a_television_asks_until_its_code_was_approved(
    speak: Speak, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"device_code": "secret", "user_code": "WDJB-MJHT", "interval": 0}
    pending = refused(400, error="authorization_pending")
    busy = Busy(lambda: web.json_response(shown), lambda: web.json_response({}), pending, pending, granted())
    commands = speak(busy)
    at = door(commands, Settings(state_dir=tmp_path))
    app = await by_code(at, Credentials("a@b.example", HOME), TELEVISION, SignIn(commands, tokens(9), HOME))
    assert app.token == "access 1"
    assert msgspec.json.decode(busy.bodies[1]) == {"user_code": "WDJB-MJHT", "profile_id": "ada-1"}
    assert busy.headers[1]["Authorization"] == "Bearer access 9"
    assert busy.paths[2:] == ["/oauth/token"] * 3
    assert at.register.sign_ins["one"].method == "device_code"


async def test_a_television_that_nobody_approves_gives_up(speak: Speak, tmp_path: Any) -> None:
    shown = {"device_code": "secret", "user_code": "WDJB-MJHT", "interval": 0}
    pending = refused(400, error="authorization_pending")
    commands = speak(Busy(lambda: web.json_response(shown), lambda: web.json_response({}), pending))
    with pytest.raises(Refused, match="not told"):
        await by_code(
            door(commands, Settings(state_dir=tmp_path)),
            Credentials("a@b.example", HOME),
            TELEVISION,
            SignIn(commands, tokens(), HOME),
        )


async def test_a_password_that_is_not_taken_is_told_without_it(speak: Speak, tmp_path: Any) -> None:
    who = Credentials("a@b.example", HOME)
    at = door(speak(Busy(refused(401, type="credentials-wrong"))), Settings(state_dir=tmp_path))
    with pytest.raises(Refused, match=r"a@b\.example on Phone: 401") as told:
        await by_password(at, who, PHONE)
    assert who.password not in str(told.value)
    assert at.register.sign_ins == {}


async def test_whoever_uses_a_device_again_is_signed_in_there_already(speak: Speak, tmp_path: Any) -> None:
    busy = Busy(granted())
    person = Person(0, door(speak(busy), Settings(state_dir=tmp_path)))
    person.apps[PHONE.device_id] = SignIn(speak(busy), tokens(), HOME)
    assert await person.on(PHONE) is person.phone
    assert busy.paths == []


def test_everybody_has_a_password_an_address_and_a_home_of_their_own(tmp_path: Any) -> None:
    people = [Person(number, door(Any, Settings(state_dir=tmp_path))) for number in range(100)]  # type: ignore[arg-type]
    assert len({person.who.password for person in people}) == 100
    assert len({person.who.email for person in people}) == 100
    assert len({home_of(number) for number in range(70_000)}) == 70_000
    assert people[0].who.password not in repr(people[0].who)
    assert ways_in.PASSWORD_BYTES >= 12
