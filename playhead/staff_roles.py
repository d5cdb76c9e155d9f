"""`playhead staff`: roles from the command line, which is how an installation gets its first operator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import asyncpg

from commands.handling import Handling, Outcome, Terms
from commands.identity.access_tables import keep_step
from commands.identity.addresses import index_of, normalised
from commands.identity.commands import GrantRole, RevokeRole
from commands.identity.decider import ACCOUNT
from commands.identity.streams import of_account
from events.envelope import UNKNOWN_ADDRESS, Context, Event
from events.identity import Role
from events.types import AccountId
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.personal_data import MasterKey
from infra.postgres import Connection, Pool, connect_pool
from infra.postgres import Role as PostgresRole
from infra.settings import Settings
from playhead.console import fail, say

PRINCIPAL: Final = "command-line"
FIND: Final = "select account_id from identity_credentials where email_digest = $1"
SERVERS_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def run(settings: Settings, email: str, role: Role, *, granted: bool) -> int:
    """Grant a role to whoever has an address, or revoke it; the exit status."""
    try:
        outcome = asyncio.run(_decided(settings, email, role, granted=granted))
    except ValueError as error:
        return fail(f"That is no address: {error}").exit_code
    except SERVERS_AWAY as error:
        return fail(f"Postgres did not take it: {error!r}. The same command tries again.").exit_code
    if outcome is None:
        return fail("No account has this address; register it first, and follow the link in the mail.").exit_code
    if not outcome.recorded:
        say(f"It was so already: account {outcome.subject} {'is' if granted else 'is not'} {role.value}.")
    else:
        said = "is {role} from its next access token on" if granted else "is not {role} any more"
        say(f"Account {outcome.subject} {said.format(role=role.value)}.")
    return 0


async def _decided(settings: Settings, email: str, role: Role, *, granted: bool) -> Outcome | None:
    """What the command did; None: there is no such account. Raises ValueError for what is no address."""
    digest = MasterKey.load(settings).digest(index_of(normalised(email)))
    async with _pool(settings) as pool:
        account_id: str | None = await pool.fetchval(FIND, digest)
        if account_id is None:
            return None
        now, lasts = utc_now(), timedelta(days=settings.refresh_token_ttl_days)

        async def alongside(connection: Connection, events: list[Event]) -> None:
            await keep_step(connection, events, now=now, lasts=lasts)

        return await Handling(EventLog(pool, settings), utc_now).handle(
            GrantRole(role=role) if granted else RevokeRole(role=role),
            decider=ACCOUNT,
            target=of_account(AccountId(account_id)),
            terms=Terms(
                Context(correlation_id=f"staff-{new_id()}", principal=PRINCIPAL, client_address=UNKNOWN_ADDRESS)
            ),
            alongside=alongside,
        )


@asynccontextmanager
async def _pool(settings: Settings) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings, role=PostgresRole.COMMANDS, size=1)
    try:
        yield pool
    finally:
        await pool.close()
