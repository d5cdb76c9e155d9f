"""The commands API with quick hashes and mail in a directory, for tests of identity."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from commands.app import create_app
from infra.access.permissions import Principal
from infra.postgres import Pool
from infra.settings import Settings
from tests.integration.projection_workers import eventually

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

    async def mail(self, to: str, subject: str, count: int = 1) -> list[EmailMessage]:
        """The letters to an address with a subject, once there are as many."""
        found: list[EmailMessage] = []

        async def there() -> bool:
            found[:] = [letter for letter in self._letters() if letter["To"] == to and letter["Subject"] == subject]
            return len(found) >= count

        await eventually(there)
        return found

    async def token(self, to: str, subject: str, count: int = 1) -> str:
        """The token of the newest such letter."""
        return token_in((await self.mail(to, subject, count))[-1])

    def _letters(self) -> list[EmailMessage]:
        return [_read(path) for path in sorted(self.mail_dir.glob("*.eml"))]

    async def types(self, stream_id: str) -> list[str]:
        """What happened in a stream."""
        rows = await self.pool.fetch("select type from event_log where stream_id = $1 order by version", stream_id)
        return [row["type"] for row in rows]

    def mint(self, principal: Principal) -> str:
        """An access token of somebody who did not sign in here."""
        token: str = self.app.state.tokens.mint_access(principal)
        return token

    async def sent(self) -> None:
        """Wait until no mail is on its way."""

        async def none_due() -> bool:
            waiting = "select exists (select from identity_mail where tries < 8)"
            return not await self.pool.fetchval(waiting)

        await eventually(none_due)

    async def registered(self, email: str, password: str = PASSWORD) -> dict[str, Any]:
        """A confirmed account; the tokens that the confirmation replied."""
        return await self.registered_again(email, 1, password)

    async def registered_again(self, email: str, time: int, password: str = PASSWORD) -> dict[str, Any]:
        """An account of an address that was registered before."""
        assert (await self.post("/v1/registrations", {"email": email, "password": password})).status_code == 202
        token = await self.token(email, "Confirm your address", time)
        reply = await self.post(
            "/v1/registrations/confirm", {"token": token, "password": password, "device": TELEVISION}
        )
        assert reply.status_code == 201, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def sign_in(self, email: str, password: str = PASSWORD, **values: Any) -> httpx.Response:
        return await self.post("/v1/sign-in", {"email": email, "password": password, "device": TELEVISION, **values})


def token_in(letter: EmailMessage) -> str:
    """The line of a letter that is nothing but a token."""
    text = letter.get_content()
    found = re.search(r"^([\w-]{40,})$", text, re.MULTILINE)
    assert found
    return found[1]


def problem(reply: httpx.Response) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    return reply.status_code, reply.json()["type"].rpartition("/")[2]


def _read(path: Path) -> EmailMessage:
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert isinstance(message, EmailMessage)
    return message


@asynccontextmanager
async def opened_door(live: Settings, pool: Pool, mail_dir: Path, **changes: Any) -> AsyncIterator[Door]:
    """The API while it is served."""
    settings = live.model_copy(
        update={
            "mail_dir": mail_dir,
            "mail_poll_interval_s": 0.02,
            "password_hash_memory_kib": 8,
            "password_hash_passes": 1,
            "sign_in_address_failures_max": 100_000,
            **changes,
        }
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://commands") as client,
    ):
        yield Door(app, client, mail_dir, pool)
