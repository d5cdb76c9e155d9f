"""One-time tokens: what a link in mail carries. Only their digests are kept; random as they are, a fast one will do."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field

from commands.identity.refusals import OneTimeTokenInvalid
from infra.ids import new_secret
from infra.postgres import Connection, Pool

REPLACE: Final = "delete from identity_one_time_tokens where account_id = $1 and purpose = $2"
KEEP: Final = "insert into identity_one_time_tokens values ($1, $2, $3, $4, $5)"
FIND: Final = """
select account_id, sealed from identity_one_time_tokens where digest = $1 and purpose = $2 and expires_at > $3
"""
CONSUME: Final = "delete from identity_one_time_tokens where digest = $1 and expires_at > $2"
OF_ACCOUNT: Final = """
update identity_one_time_tokens set account_id = $2 where digest = $1 and (account_id is null or account_id = $2)
"""

TokenText = Annotated[str, Field(min_length=1, max_length=100, pattern="^[0-9a-zA-Z_-]+$")]
"""A token in a body."""


class Purpose(StrEnum):
    """What following the link does."""

    REGISTRATION = "registration"
    PASSWORD_RESET = "password_reset"
    EMAIL_CHANGE = "email_change"


class Kept(NamedTuple):
    """What was kept with a token. `account_id`: None while there is no account. `sealed`: under the master key."""

    account_id: str | None
    sealed: bytes


def new_token() -> str:
    """A token that nobody guesses: 256 bits."""
    return urlsafe_b64encode(new_secret()).rstrip(b"=").decode()


async def keep(connection: Connection, token: str, purpose: Purpose, kept: Kept, *, expires_at: datetime) -> None:
    """Keep a token, the only one of its purpose and account from now on."""
    # Also where there is none: what is done for an account takes no longer than what is done for none.
    await connection.execute(REPLACE, kept.account_id, purpose.value)
    await connection.execute(KEEP, _digest(token), purpose.value, kept.account_id, kept.sealed, expires_at)


async def find(pool: Pool, token: str, purpose: Purpose, now: datetime) -> Kept:
    """What was kept with a token, which stays. Raises OneTimeTokenInvalid."""
    row: Any = await pool.fetchrow(FIND, _digest(token), purpose.value, now)
    if row is None:
        raise invalid()
    return Kept(row["account_id"], row["sealed"])


async def consume(connection: Connection, token: str, now: datetime) -> None:
    """Use a token up. Raises OneTimeTokenInvalid when somebody else did meanwhile."""
    if await connection.execute(CONSUME, _digest(token), now) == "DELETE 0":
        raise invalid()


async def drop(connection: Connection, account_id: str, *purposes: Purpose) -> None:
    """Use up every token of an account for some purposes: they were sent to whom they should not have been."""
    for purpose in purposes:
        await connection.execute(REPLACE, account_id, purpose.value)


async def bind(connection: Connection, token: str, account_id: str) -> None:
    """Use a registration's token up for everything but to answer once more whoever used it, until it expires. Raises
    OneTimeTokenInvalid.
    """
    if await connection.execute(OF_ACCOUNT, _digest(token), account_id) == "UPDATE 0":
        raise invalid()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def invalid() -> OneTimeTokenInvalid:
    """The refusal of a token."""
    return OneTimeTokenInvalid("the link was used or replaced, or has expired; ask for another one")
