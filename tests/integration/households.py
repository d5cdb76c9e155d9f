"""Accounts with sign-ins, as if they had been registered and proved, for tests of what they may do next."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI, Response

from commands.app import create_app
from commands.handling import Terms
from commands.identity.account_credentials import NEW
from commands.identity.commands import RegisterAccount
from commands.identity.registrations import NEW_PERSON
from commands.identity.requests import Desk
from commands.identity.signing_in import DeviceToSignIn, TokensReply, sign_in
from events.envelope import Context
from events.types import AccountId, DeviceId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.postgres import Connection
from infra.settings import Settings

PASSWORD = "kitchen-table-7-Walnut"
CHEAP = {"password_hash_memory_kib": 8, "password_hash_passes": 1, "password_hash_max_waiting": 1_000}
"""Hashes that cost nothing."""


@dataclass
class House:
    """The commands API without a network, and the accounts that it is asked for."""

    app: FastAPI
    client: httpx.AsyncClient

    def desk(self, principal: str = "test") -> Desk:
        """A way to the streams without HTTP."""
        state = self.app.state
        terms = Terms(Context(correlation_id="test", principal=principal))
        return Desk(state.resources, state.master_key, state.passwords, state.throttle, terms, Response())

    async def household(self) -> "Household":
        """An account that somebody has just signed in to."""
        desk, account_id = self.desk(), AccountId(new_id())
        person, wrapped = desk.master.new_person(account_id)
        await desk.opened.pool.execute(NEW_PERSON, account_id, wrapped, desk.now)
        password_hash = await desk.passwords.hash(PASSWORD)

        async def secrets(inside: Connection) -> None:
            await inside.execute(NEW, account_id, desk.master.digest(account_id), password_hash, desk.now)

        await desk.command(
            RegisterAccount(account_id=account_id, email=person.seal("a@b.example")), account_id, secrets
        )
        return await Household(self, account_id).signed_in()


@dataclass(frozen=True)
class Household:
    """An account, and the sign-in that it is used by here."""

    house: House
    account_id: AccountId
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/v1/accounts/{self.account_id}"

    async def signed_in(
        self, name: str = "Den", device_id: str | None = None, instead_of: str | None = None
    ) -> "Household":
        """The account as used on another device."""
        replied = await self.sign_in(name, device_id, instead_of)
        return replace(self, tokens=replied.model_dump())

    async def sign_in(
        self, name: str = "Den", device_id: str | None = None, instead_of: str | None = None
    ) -> TokensReply:
        device = DeviceToSignIn(name=name, type="tv", device_id=device_id)
        removed = DeviceId(instead_of) if instead_of else None
        return await sign_in(self.house.desk(), self.account_id, device, method="password", instead_of=removed)

    def using(self, tokens: dict[str, Any]) -> "Household":
        """The same with other tokens."""
        return replace(self, tokens={**self.tokens, **tokens})

    async def post(self, path: str, key: str | None = None, /, **body: Any) -> httpx.Response:
        """A command in the name of the sign-in; `path` after the account's."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}", "Idempotency-Key": key or str(uuid4())}
        path = path if path.startswith("/v1") else self.path + path
        headers["Content-Type"] = "application/json"
        return await self.house.client.post(path, content=json.dumps(body), headers=headers)

    async def profile(self, name: str = "Mina", **values: Any) -> str:
        """A new profile, by the account's password; its id."""
        reply = await self.post("/profiles", name=name, password=PASSWORD, **values)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def protected(self, profile_id: str, pin: str = "4711") -> str:
        """A profile that has a PIN now."""
        reply = await self.post(f"/profiles/{profile_id}/pin", pin=pin, password=PASSWORD)
        assert reply.status_code == 200, reply.text
        return profile_id

    async def choosing(self, profile_id: str, **body: Any) -> "Household":
        """The account as used by a profile on this device."""
        reply = await self.post(f"/profiles/{profile_id}/choose", **body)
        assert reply.status_code == 200, reply.text
        return self.using(reply.json())

    @property
    def principal(self) -> Principal:
        """Whom the access token speaks for."""
        verified: Principal = self.house.app.state.tokens.verify_access(self.tokens["access_token"])
        return verified


@asynccontextmanager
async def running_house(live: Settings, **changes: object) -> AsyncIterator[House]:
    """The commands API on real servers."""
    app = create_app(live.model_copy(update={**CHEAP, **changes}))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://commands") as client,
    ):
        async with asyncio.timeout(20):
            while not app.state.resources.publisher.ready:
                await asyncio.sleep(0.05)
        yield House(app, client)


def problem(reply: httpx.Response) -> tuple[int, str]:
    """A refusal's status and name."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    return reply.status_code, reply.json()["type"].rpartition("/")[2]
