"""Who may sign in: the rows of identity_credentials, and the addresses that mail goes to, which are in the events."""

from typing import Any, Final, NamedTuple

from commands.identity.addresses import index_of
from commands.identity.refusals import AccountUnknown
from commands.identity.requests import Desk
from commands.identity.streams import of_account
from events.identity import AccountRegistered, EmailChanged
from events.registry import REGISTRY, type_of
from events.types import AccountId
from infra.postgres import Connection

WITH_ADDRESS: Final = """
select c.account_id, c.password_hash, k.wrapped, (
    select body from event_log
    where stream_id = $3 || c.account_id and type = any($4) order by version desc limit 1
) as body
from identity_credentials as c join person_key as k on k.person_id = c.account_id
where c.email_digest = $1 or c.account_id = $2
"""
STREAM: Final = of_account(AccountId("")).stream_id
TYPES: Final = [type_of(AccountRegistered), type_of(EmailChanged)]
NEW: Final = """
insert into identity_credentials (account_id, email_digest, password_hash, changed_at) values ($1, $2, $3, $4)
on conflict (account_id) do nothing
"""
SET_PASSWORD: Final = """
update identity_credentials set password_hash = $2, changed_at = $4 where account_id = $1 and password_hash = $3
"""
SET_EMAIL: Final = "update identity_credentials set email_digest = $2, changed_at = $3 where account_id = $1"


class Credentials(NamedTuple):
    """How an account signs in, and the address that it proved."""

    account_id: AccountId
    password_hash: str
    email: str


async def by_email(at: Desk, email: str) -> Credentials | None:
    """Those of a normalised address; None for one without an account. As much work for both."""
    return await _found(at, at.master.digest(index_of(email)), None)


async def by_account(at: Desk, account_id: str) -> Credentials | None:
    """Those of an account; None for one that is not registered, or was withdrawn."""
    return await _found(at, None, account_id)


async def known_by_account(at: Desk, account_id: AccountId) -> Credentials:
    """Those of an account. Raises AccountUnknown, AccountIsWithdrawn."""
    known = await by_account(at, account_id)
    if known is None:
        await at.person(account_id)  # tells which of them it is
        raise AccountUnknown("no such account was registered")
    return known


async def _found(at: Desk, digest: bytes | None, account_id: str | None) -> Credentials | None:
    row: Any = await at.opened.pool.fetchrow(WITH_ADDRESS, digest, account_id, STREAM, TYPES)
    if row is None:
        return None
    key = at.master.unwrap(row["wrapped"], row["account_id"])
    event = REGISTRY.decode(row["body"]).data
    assert key is not None and isinstance(event, AccountRegistered | EmailChanged)
    return Credentials(AccountId(row["account_id"]), row["password_hash"], key.open(event.email) or "")


async def set_password(connection: Connection, known: Credentials, hashed: str, at: Desk) -> bool:
    """Replace the hash that is known; whether it was still that one."""
    status = await connection.execute(SET_PASSWORD, known.account_id, hashed, known.password_hash, at.now)
    return status != "UPDATE 0"
