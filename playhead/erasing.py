"""What `playhead audit erase` and `certificate` do."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import asyncpg
import msgspec

from audits.erasures import certificate_of, in_words
from commands.handling import Handling, Outcome, Terms
from commands.identity.access_tables import destroy_key, keep_step
from commands.identity.commands import ErasePerson
from commands.identity.decider import ACCOUNT
from commands.identity.erasing import IS_OPEN, REFERENCE_MAX_CHARS, REFERENCE_PATTERN
from commands.identity.requests import fingerprint_of
from commands.identity.streams import of_account
from commands.subscription.installation import Deciders, policy_of
from commands.subscription.withdrawing import Withdrawals
from events.envelope import UNKNOWN_ADDRESS, Context, Event
from events.identity import ErasureGround
from events.refusals import Refusal
from events.types import AccountId
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.personal_data import MasterKey
from infra.postgres import Connection, Pool, Role, connect_pool
from infra.settings import Settings
from playhead.console import fail, say

PRINCIPAL: Final = "command-line"
SERVERS_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def run_erase(settings: Settings, account_id: str, ground: ErasureGround, reference: str | None) -> int:
    """Erase a person; the exit status."""
    if reference is not None and (len(reference) > REFERENCE_MAX_CHARS or not re.match(REFERENCE_PATTERN, reference)):
        return fail(f"A reference has at most {REFERENCE_MAX_CHARS} letters, digits, spaces and . / _ -.").exit_code
    try:
        outcome = asyncio.run(_erased(settings, AccountId(account_id), ground, reference))
    except Refusal as refusal:
        return fail(f"It is refused: {refusal}.").exit_code
    except SERVERS_AWAY as error:
        return fail(f"Postgres did not take it: {error!r}. The same command tries again.").exit_code
    done = "is erased" if outcome.recorded else "was erased before"
    say(f"Account {account_id} {done}. `playhead audit certificate {account_id}` shows the certificate.")
    return 0


async def _erased(settings: Settings, account_id: AccountId, ground: ErasureGround, reference: str | None) -> Outcome:
    now, lasts = utc_now(), timedelta(days=settings.refresh_token_ttl_days)
    context = Context(correlation_id=f"erase-{new_id()}", principal=PRINCIPAL, client_address=UNKNOWN_ADDRESS)

    async def alongside(connection: Connection, events: list[Event]) -> None:
        await keep_step(connection, events, now=now, lasts=lasts)
        await destroy_key(connection, account_id, now)

    async with _pool(settings, Role.COMMANDS) as pool:
        handling = Handling(EventLog(pool, settings), utc_now)
        if await pool.fetchval(IS_OPEN, account_id):
            await Withdrawals(handling, Deciders.under(policy_of(settings))).on_withdrawal(account_id, context)
        fingerprint = await fingerprint_of(pool, MasterKey.load(settings), account_id)
        return await handling.handle(
            ErasePerson(ground=ground, key_fingerprint=fingerprint, reference=reference),
            decider=ACCOUNT,
            target=of_account(account_id),
            terms=Terms(context),
            alongside=alongside,
        )


def run_certificate(settings: Settings, account_id: str, *, as_json: bool) -> int:
    """Show a certificate; the exit status."""

    async def found() -> int:
        async with _pool(settings, Role.AUDITS) as pool:
            certificate = await certificate_of(pool, account_id)
        if certificate is None:
            return fail(f"Account {account_id} was not erased.").exit_code
        say(msgspec.json.encode(certificate).decode() if as_json else in_words(certificate))
        return 0 if certificate.holds else 1

    try:
        return asyncio.run(found())
    except SERVERS_AWAY as error:
        return fail(f"Postgres cannot be asked: {error!r}.").exit_code


@asynccontextmanager
async def _pool(settings: Settings, role: Role) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings, role=role, size=1)
    try:
        yield pool
    finally:
        await pool.close()
