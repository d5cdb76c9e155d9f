"""Proofs that whoever asks is no child: the account's password, or a profile's PIN. Both are guessed only a few times,
by a sign-in and of a PIN: docs/adr/0012-a-child-cannot-lift-its-limit.md.
"""

from typing import Annotated, Final, NamedTuple

import asyncpg
from msgspec import structs
from pydantic import Field, SecretStr

from commands.identity.refusals import (
    AccountUnknown,
    PasswordWrong,
    PinNotSet,
    PinWrong,
    ProfileNotChosen,
    ProfileUnknown,
)
from commands.identity.requests import Desk, Secrets
from commands.identity.throttling import Limit
from events.types import AccountId, ProfileId
from infra.access.permissions import Principal
from infra.postgres import Connection

PASSWORD_HASH: Final = "select password_hash from identity_credentials where account_id = $1"
PIN_HASH: Final = "select pin_hash from identity_profile_access where profile_id = $1 and account_id = $2"
SET_PIN: Final = "update identity_profile_access set pin_hash = $2 where profile_id = $1"
WAS_HANDLED: Final = "select exists (select from idempotency where key = $1)"

Pin = Annotated[str, Field(pattern="^[0-9]{4,8}$", description="4 to 8 digits")]


class Proof(NamedTuple):
    """What came with a request, of `caller`, to be proved for an account; the PIN is that of `profile_id`."""

    caller: Principal
    account_id: AccountId
    password: SecretStr | None = None
    pin: str | None = None
    profile_id: ProfileId | None = None


async def is_proved(at: Desk, proof: Proof) -> bool:
    """Whether a request holds a proof, by password or by PIN. Raises PasswordWrong, PinWrong, PinNotSet,
    TooManyAttempts.

    One that was handled before needs no proof, which may be outdated by what it did: it gets its first reply, and would
    be decided as unproved.
    """
    if (proof.password is None and proof.pin is None) or await was_handled(at):
        return False
    if proof.password is not None:
        await check_password(at, proof.caller, proof.account_id, proof.password)
    else:
        assert proof.profile_id is not None and proof.pin is not None
        await check_pin(at, proof.caller, await pin_hash_of(at, proof.account_id, proof.profile_id), proof.pin)
    return True


async def check_password(at: Desk, caller: Principal, account_id: AccountId, password: SecretStr) -> None:
    """Raises PasswordWrong, TooManyAttempts, AccountUnknown."""
    row: asyncpg.Record | None = await at.opened.pool.fetchrow(PASSWORD_HASH, account_id)
    if row is None:
        raise AccountUnknown("no such account was registered")
    settings = at.opened.settings
    limit = Limit("proof by password", _by(caller), settings.sign_in_failures_max, settings.sign_in_window_s)
    async with at.throttle.attempt(limit):
        if not await at.passwords.verify(password.get_secret_value(), row["password_hash"]):
            left = await at.throttle.left(limit)
            raise PasswordWrong(f"this is not the account's password; {left} tries are left", members=_left(left))


async def check_pin(at: Desk, caller: Principal, pin_hash: str | None, pin: str) -> None:
    """Raises PinWrong, PinNotSet, TooManyAttempts, also for the right one. What is counted of a PIN is forgotten with
    it, so that the account's password opens a profile whose PIN somebody guessed at."""
    if pin_hash is None:
        raise PinNotSet("the profile has no PIN; set one with the account's password")
    settings = at.opened.settings
    most, window_s = settings.pin_failures_max, settings.pin_window_s
    limits = Limit("PIN", pin_hash, most, window_s), Limit("PIN by", _by(caller), most, window_s)
    async with at.throttle.attempt(*limits):
        if not await at.passwords.verify(pin, pin_hash):
            left = await at.throttle.left(*limits)
            raise PinWrong(f"this is not the profile's PIN; {left} tries are left", members=_left(left))


async def pin_hash_of(at: Desk, account_id: AccountId, profile_id: ProfileId) -> str | None:
    """The hash of a profile's PIN; None for a profile without. Raises ProfileUnknown, also for another account's."""
    row: asyncpg.Record | None = await at.opened.pool.fetchrow(PIN_HASH, profile_id, account_id)
    if row is None:
        raise ProfileUnknown(f"the account has no profile {profile_id!r}; it may have been deleted")
    pin_hash: str | None = row["pin_hash"]
    return pin_hash


async def setting_pin(at: Desk, profile_id: ProfileId, pin: str) -> Secrets:
    """Writes the hash of a profile's new PIN."""
    pin_hash = await at.passwords.hash(pin)

    async def write(inside: Connection) -> None:
        await inside.execute(SET_PIN, profile_id, pin_hash)

    return write


async def unlocked(at: Desk, caller: Principal, account_id: AccountId, profile_id: ProfileId, pin: str) -> str:
    """An access token of the same caller without the maturity limit, for settings.unlock_ttl_s. Raises
    ProfileNotChosen, ProfileUnknown, PinWrong, PinNotSet, TooManyAttempts."""
    if caller.profile_id != profile_id:
        raise ProfileNotChosen("the access token is for another profile; choose this one first")
    await check_pin(at, caller, await pin_hash_of(at, account_id, profile_id), pin)
    limitless = structs.replace(caller, maturity_limit=None)
    return at.opened.tokens.mint_access(limitless, ttl_s=at.opened.settings.unlock_ttl_s)


async def was_handled(at: Desk) -> bool:
    """Whether the request came before under its Idempotency-Key, and gets its first reply."""
    request = at.terms.idempotency
    return request is not None and bool(await at.opened.pool.fetchval(WAS_HANDLED, request.key))


def _by(caller: Principal) -> str:
    return caller.sign_in_id or caller.subject


def _left(tries: int) -> dict[str, object]:
    return {"tries_left": tries}
