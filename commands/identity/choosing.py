"""Choosing a profile: the caller's own sign-in speaks for it from now on, and gets new tokens."""

from typing import Any, Final

import asyncpg

from commands.identity.access_tables import principal_of
from commands.identity.pins import check_pin
from commands.identity.refusals import PinMissing, ProfileUnknown, SignInUnknown
from commands.identity.requests import Desk
from commands.identity.signing_in import TokensReply, reply_for
from events.types import AccountId, ProfileId
from infra.access.permissions import Principal

CHOICE: Final = """
select p.pin_hash, (select g.profile_id from identity_grants as g where g.sign_in_id = $3) as chosen
from identity_profile_access as p where p.profile_id = $1 and p.account_id = $2
"""
CHOOSE: Final = """
update identity_grants set profile_id = $2
where sign_in_id = $1 and account_id = $3 and expires_at > $4 returning generation
"""
"""The generation is read behind the row's lock: the newest refresh token is replied again, and none is used up."""


async def choose(
    at: Desk, caller: Principal, account_id: AccountId, profile_id: ProfileId, pin: str | None
) -> TokensReply:
    """Have a sign-in be for a profile. Raises SignInUnknown, ProfileUnknown, PinMissing, PinWrong, TooManyAttempts."""
    if caller.sign_in_id is None:
        raise _ended()
    row: Any = await at.opened.pool.fetchrow(CHOICE, profile_id, account_id, caller.sign_in_id)
    if row is None:
        raise _unknown(profile_id)
    if row["pin_hash"] is not None and row["chosen"] != profile_id:
        if pin is None:
            raise PinMissing("the profile needs its PIN: send `pin`")
        await check_pin(at, caller, row["pin_hash"], pin)
    return await _chosen(at, caller.sign_in_id, account_id, profile_id)


async def _chosen(at: Desk, sign_in_id: str, account_id: AccountId, profile_id: ProfileId) -> TokensReply:
    try:
        async with at.opened.pool.acquire() as inside, inside.transaction():
            generation = await inside.fetchval(CHOOSE, sign_in_id, profile_id, account_id, at.now)
            principal = await principal_of(inside, sign_in_id, at.now)  # type: ignore[arg-type]  # a pool's proxy
    except asyncpg.ForeignKeyViolationError as error:  # deleted since it was looked at
        raise _unknown(profile_id) from error
    if generation is None or principal is None:
        raise _ended()
    return reply_for(at, principal, generation)


def _ended() -> SignInUnknown:
    return SignInUnknown("the sign-in has ended, or the access token is of none; sign in again")


def _unknown(profile_id: ProfileId) -> ProfileUnknown:
    return ProfileUnknown(f"the account has no profile {profile_id!r}; it may have been deleted")
