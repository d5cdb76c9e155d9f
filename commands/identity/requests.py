"""What the routes of this context work with: its deciders on the resources of the process, and the keys of persons."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import asyncpg
from cryptography.exceptions import InvalidTag
from fastapi import Depends, Request, Response

from commands.decider import Decider
from commands.dependencies import Resources, context_of, describe, resources, terms
from commands.handling import Alongside, Outcome, Target, Terms
from commands.identity.access_tables import keep_step
from commands.identity.commands import AccountCommand
from commands.identity.decider import ACCOUNT
from commands.identity.passwords import Passwords
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown
from commands.identity.streams import of_account
from commands.identity.throttling import Throttle
from commands.replies import Recorded
from events.envelope import Event
from events.types import AccountId
from infra.personal_data import MasterKey, PersonKey
from infra.postgres import Connection, Pool

KEY: Final = "select wrapped from person_key where person_id = $1"

C = TypeVar("C")

Secrets = Callable[[Connection], Awaitable[None]]
"""Writes secrets that go with a command: in its transaction, after keep_step()."""


@dataclass(frozen=True)
class Desk:
    """One request's way to the streams, in the name of whoever is on its terms."""

    opened: Resources
    master: MasterKey
    passwords: Passwords
    throttle: Throttle
    terms: Terms
    response: Response

    @property
    def now(self) -> datetime:
        """The time."""
        return self.opened.clock()

    async def person(self, account_id: AccountId) -> PersonKey:
        """The key of an account's person. Raises AccountUnknown, AccountIsWithdrawn."""
        row: asyncpg.Record | None = await self.opened.pool.fetchrow(KEY, account_id)
        if row is None:
            raise AccountUnknown("no such account was registered")
        key = self.master.unwrap(row["wrapped"], account_id)
        if key is None:
            raise AccountIsWithdrawn("the account was closed for good; register another")
        return key

    async def key_fingerprint(self, account_id: AccountId) -> str | None:
        """Of the key of an account's person; None for one that is destroyed, was never made, or cannot be opened."""
        return await fingerprint_of(self.opened.pool, self.master, account_id)

    async def command(self, command: AccountCommand, account_id: AccountId, secrets: Secrets | None = None) -> Outcome:
        """A command of an account."""
        return await self.handle(command, ACCOUNT, of_account(account_id), secrets)

    async def handle(
        self, command: C, decider: Decider[C, Any], target: Target, secrets: Secrets | None = None
    ) -> Outcome:
        """One command against its stream, and what it changes in the private tables."""
        outcome = await self.opened.handling.handle(
            command, decider=decider, target=target, terms=self.terms, alongside=self._alongside(secrets)
        )
        describe(self.response, outcome)
        return outcome

    async def reply(self, command: AccountCommand, account_id: AccountId, secrets: Secrets | None = None) -> Recorded:
        """A command of an account, and what it did."""
        return Recorded.of(await self.command(command, account_id, secrets))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """For what is written without an event, all of it or nothing."""
        async with self.opened.pool.acquire() as pooled, pooled.transaction():
            yield pooled  # type: ignore[misc]  # the pool's proxy offers all of it

    def _alongside(self, secrets: Secrets | None) -> Alongside:
        lasts = timedelta(days=self.opened.settings.refresh_token_ttl_days)

        async def write(connection: Connection, events: list[Event]) -> None:
            await keep_step(connection, events, now=self.now, lasts=lasts)
            if secrets is not None:
                await secrets(connection)

        return write


async def fingerprint_of(pool: Pool, master: MasterKey, account_id: str) -> str | None:
    """See Desk.key_fingerprint()."""
    wrapped: bytes | None = await pool.fetchval(KEY, account_id)
    try:
        key = master.unwrap(wrapped, account_id)
    except InvalidTag:  # nobody reads what it sealed, which is no reason not to destroy it
        return None
    return key.fingerprint if key else None


async def anonymous_terms(request: Request) -> Terms:
    """The terms of a request from somebody who has not signed in: in the log its principal is "anonymous"."""
    return Terms(context_of(request, "anonymous"))


def _opened(request: Request, response: Response, opened: Resources, asked: Terms) -> Desk:
    state = request.app.state
    asked = _without_a_trace(asked, state.master_key)
    return Desk(opened, state.master_key, state.passwords, state.throttle, asked, response)


def _without_a_trace(asked: Terms, master: MasterKey) -> Terms:
    """The digest by which a repeated request is known, under the master key: of a body with a PIN in it a plain one,
    which is stored, would tell the PIN to whoever tries them all."""
    request = asked.idempotency
    if request is None:
        return asked
    return replace(asked, idempotency=request._replace(digest=master.digest(request.digest.hex())))


async def _desk(
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
    asked: Annotated[Terms, Depends(terms)],
) -> Desk:
    return _opened(request, response, opened, asked)


async def _open_desk(
    request: Request,
    response: Response,
    opened: Annotated[Resources, Depends(resources)],
    asked: Annotated[Terms, Depends(anonymous_terms)],
) -> Desk:
    return _opened(request, response, opened, asked)


At = Annotated[Desk, Depends(_desk)]
"""For routes whose caller is signed in."""
AtDoor = Annotated[Desk, Depends(_open_desk)]
"""For routes that anybody may call."""
