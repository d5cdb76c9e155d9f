"""Accounts over HTTP, on real servers: registration, sign-in, passwords, addresses, withdrawal and staff roles."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from commands.app import create_app
from commands.identity.passwords import Passwords
from infra.ids import new_id
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.projection_workers import eventually

pytestmark = pytest.mark.integration

PASSWORD = "kitchen-table-7-Walnut"
ANOTHER = "garden-gate-9-Juniper"
TELEVISION = {"name": "Den", "type": "tv"}


@dataclass
class Door:
    """The commands API, and the mail that it sends."""

    app: FastAPI
    client: httpx.AsyncClient
    mail_dir: Path
    pool: Pool

    async def post(self, path: str, body: object, token: str | None = None, **headers: str) -> httpx.Response:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.post(path, json=body, headers=headers)

    async def mail(self, to: str, subject: str, count: int = 1) -> list[Message]:
        """The letters to an address with a subject, once there are as many."""
        found: list[Message] = []

        async def there() -> bool:
            found[:] = [letter for letter in self._letters() if letter["To"] == to and letter["Subject"] == subject]
            return len(found) >= count

        await eventually(there)
        return found

    async def token(self, to: str, subject: str, count: int = 1) -> str:
        """The token of the newest such letter."""
        return token_in((await self.mail(to, subject, count))[-1])

    def _letters(self) -> list[Message]:
        return [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(self.mail_dir.glob("*.eml"))]

    async def sent(self) -> None:
        """Wait until no mail is on its way."""

        async def none_due() -> bool:
            return await self.pool.fetchval("select count(*) from identity_mail where tries < 8") == 0

        await eventually(none_due)

    async def registered(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        """A confirmed account; the tokens that the confirmation replied."""
        assert (await self.post("/v1/registrations", {"email": email, "password": password})).status_code == 202
        token = await self.token(email, "Confirm your address")
        reply = await self.post(
            "/v1/registrations/confirm", {"token": token, "password": password, "device": TELEVISION}
        )
        assert reply.status_code == 201, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def sign_in(self, email: str, password: str = PASSWORD, **values: Any) -> httpx.Response:
        return await self.post("/v1/sign-in", {"email": email, "password": password, "device": TELEVISION, **values})


def token_in(letter: Message) -> str:
    """The line of a letter that is nothing but a token."""
    text = letter.get_content()  # type: ignore[attr-defined]  # the default policy's message has it
    found = re.search(r"^([\w-]{40,})$", text, re.MULTILINE)
    assert found
    return found[1]


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


@pytest.fixture(scope="module")
async def door(live: Settings, postgres: Pool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    settings = live.model_copy(
        update={
            "mail_dir": tmp_path_factory.mktemp("mail"),
            "mail_poll_interval_s": 0.02,
            "password_hash_memory_kib": 8,
            "password_hash_passes": 1,
            "sign_in_address_failures_max": 100_000,
        }
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://commands") as client,
    ):
        yield Door(app, client, settings.mail_path, postgres)


@pytest.fixture
def me() -> str:
    return f"ann-{new_id()[-12:]}@example.com"


async def test_an_account_from_registration_to_signing_in(door: Door, me: str) -> None:
    begun = await door.registered(me)
    assert begun["token_type"] == "Bearer"
    again = await door.sign_in(me.upper(), device={**TELEVISION, "device_id": begun["device_id"]})
    assert again.status_code == 200
    assert again.json()["account_id"] == begun["account_id"]
    assert again.json()["device_id"] == begun["device_id"]
    assert again.json()["sign_in_id"] != begun["sign_in_id"]


async def test_nothing_of_a_person_is_in_the_log_or_in_the_tables(door: Door, me: str) -> None:
    account_id = (await door.registered(me))["account_id"]
    bodies = await door.pool.fetch("select body from event_log where stream_id = $1", f"identity.account-{account_id}")
    rows = [
        *await door.pool.fetch("select * from identity_credentials where account_id = $1", account_id),
        *await door.pool.fetch("select * from identity_one_time_tokens where account_id = $1", account_id),
        *await door.pool.fetch("select * from identity_mail"),
    ]
    kept = b"".join(row["body"] for row in bodies) + repr(rows).encode()
    assert bodies
    for secret in (me, me.partition("@")[0], PASSWORD, "Den"):
        assert secret.encode() not in kept


async def test_the_reply_is_the_same_whether_an_address_has_an_account_or_not(door: Door, me: str) -> None:
    await door.registered(me)
    free = await door.post("/v1/registrations", {"email": f"new-{me}", "password": PASSWORD})
    taken = await door.post("/v1/registrations", {"email": me, "password": ANOTHER})
    assert (free.status_code, free.content) == (taken.status_code, taken.content) == (202, free.content)
    assert free.headers.keys() == taken.headers.keys()
    assert await door.mail(me, "You have an account")


async def test_as_much_is_hashed_for_an_address_with_an_account_as_for_one_without(door: Door, me: str) -> None:
    await door.registered(me)
    passwords: Passwords = door.app.state.passwords
    counts = []
    for email in (me, f"new-{me}"):
        before = passwords.computed
        await door.post("/v1/registrations", {"email": email, "password": ANOTHER})
        await door.sign_in(email, "wrong-password")
        counts.append(passwords.computed - before)
    assert counts == [2, 2]


async def test_who_registers_anothers_address_gains_nothing_when_the_owner_follows_the_link(
    door: Door, me: str
) -> None:
    await door.post("/v1/registrations", {"email": me, "password": ANOTHER})
    token = await door.token(me, "Confirm your address")
    reply = await door.post("/v1/registrations/confirm", {"token": token, "password": PASSWORD, "device": TELEVISION})
    assert problem(reply) == (401, "credentials-wrong")
    assert problem(await door.sign_in(me, ANOTHER)) == (401, "credentials-wrong")


async def test_a_confirmation_whose_reply_was_lost_signs_in_again_on_the_same_device(door: Door, me: str) -> None:
    await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    body = {"token": token, "password": PASSWORD, "device": TELEVISION}
    first, second = [await door.post("/v1/registrations/confirm", body) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["account_id"] == second.json()["account_id"]
    assert first.json()["device_id"] == second.json()["device_id"]


async def test_confirmations_at_the_same_time_begin_one_account(door: Door, me: str) -> None:
    await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    token = await door.token(me, "Confirm your address")
    body = {"token": token, "password": PASSWORD, "device": TELEVISION}
    replies = await asyncio.gather(*(door.post("/v1/registrations/confirm", body) for _ in range(4)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["account_id"] for reply in replies}) == 1
    assert len({reply.json()["device_id"] for reply in replies}) == 1


async def test_of_two_registrations_of_an_address_the_first_to_be_proved_begins_the_account(
    door: Door, me: str
) -> None:
    for _ in range(2):
        await door.post("/v1/registrations", {"email": me, "password": PASSWORD})
    letters = await door.mail(me, "Confirm your address", 2)
    replies = await asyncio.gather(
        *(
            door.post(
                "/v1/registrations/confirm", {"token": token_in(letter), "password": PASSWORD, "device": TELEVISION}
            )
            for letter in letters
        )
    )
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    assert problem(max(replies, key=lambda reply: reply.status_code)) == (409, "account-exists")


async def test_unknown_address_wrong_password_and_unproved_registration_look_the_same(door: Door, me: str) -> None:
    await door.registered(me)
    await door.post("/v1/registrations", {"email": f"unproved-{me}", "password": PASSWORD})
    replies = [
        await door.sign_in(me, "wrong-password"),
        await door.sign_in(f"nobody-{me}"),
        await door.sign_in(f"unproved-{me}"),
    ]
    assert {problem(reply) for reply in replies} == {(401, "credentials-wrong")}
    assert len({reply.content for reply in replies}) == 1


async def test_mail_to_one_address_is_limited_and_the_reply_does_not_tell(door: Door, me: str) -> None:
    replies = [await door.post("/v1/registrations", {"email": me, "password": PASSWORD}) for _ in range(8)]
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, replies[0].content)}
    await door.sent()
    assert len(await door.mail(me, "Confirm your address", 5)) == 5
