"""Refreshing: a numbered refresh token for the next one and an access token, once (RFC 9700 section 4.14.2).

Killed between any two lines: the number has moved or not, and the client, who has no reply, sends the same token again.
"""

from datetime import timedelta
from typing import Any, Final

import msgspec

from commands.identity.access_tables import principal_of
from commands.identity.commands import SignOut
from commands.identity.oauth.refusals import GrantInvalid, ScopeInvalid
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown
from commands.identity.requests import Desk
from commands.identity.signing_in import TokensReply, reply_for
from events.types import AccountId, SignInId
from infra.access.permissions import Principal
from infra.access.tokens import BadToken

ROTATE: Final = """
update identity_grants set generation = generation + 1, rotated_at = $3, expires_at = $4
where sign_in_id = $1 and generation = $2 and expires_at > $3
returning generation
"""
"""Of two who send the same token at once, one moves the number, and the other finds it moved."""
GRANT: Final = "select account_id, generation, rotated_at, expires_at from identity_grants where sign_in_id = $1"
ENDED: Final = "the sign-in has ended; sign in again"


async def refresh(at: Desk, token: str, scope: str | None) -> TokensReply:
    """The successor of a refresh token, and an access token for what the sign-in may do now; `scope`: for no more than
    that. A token that was used before ends the sign-in, unless it was a moment ago: then its reply was lost. Raises
    GrantInvalid, ScopeInvalid.
    """
    sign_in_id, generation = _read(at, token)
    lasts = timedelta(days=at.opened.settings.refresh_token_ttl_days)
    pool, now = at.opened.pool, at.now
    rotated = await pool.fetchval(ROTATE, sign_in_id, generation, now, now + lasts)
    if rotated is None:
        rotated = await _repeated(at, sign_in_id, generation)
    principal = await principal_of(pool, sign_in_id, now)
    if principal is None:
        raise GrantInvalid(ENDED)
    return reply_for(at, _narrowed(principal, scope), rotated)


async def end(at: Desk, token: str) -> None:
    """End the sign-in of a refresh token or an access token (RFC 7009); what does not hold is ended already."""
    try:
        sign_in_id = at.opened.tokens.read_refresh(token)[0]
    except BadToken:
        try:
            sign_in_id = at.opened.tokens.verify_access(token).sign_in_id or ""
        except BadToken:
            return
    account_id = await at.opened.pool.fetchval(
        "select account_id from identity_grants where sign_in_id = $1", sign_in_id
    )
    if account_id is not None:
        await _sign_out(at, account_id, SignOut(sign_in_id=SignInId(sign_in_id)))


def _read(at: Desk, token: str) -> tuple[SignInId, int]:
    try:
        sign_in_id, generation = at.opened.tokens.read_refresh(token)
    except BadToken as error:
        raise GrantInvalid(f"the refresh token was not accepted: {error}") from error
    return SignInId(sign_in_id), generation


async def _repeated(at: Desk, sign_in_id: SignInId, generation: int) -> int:
    """The number that the successor has of a token that is not the newest, or too old."""
    grant: Any = await at.opened.pool.fetchrow(GRANT, sign_in_id)
    if grant is None or grant["expires_at"] <= at.now:
        raise GrantInvalid(ENDED)
    patience = timedelta(seconds=at.opened.settings.refresh_retry_s)
    if grant["generation"] == generation + 1 and at.now - grant["rotated_at"] <= patience:
        return generation + 1
    await _sign_out(at, grant["account_id"], SignOut(sign_in_id=sign_in_id, reason="refresh_token_reused"))
    raise GrantInvalid("the refresh token was used before, perhaps by somebody else: sign in again")


async def _sign_out(at: Desk, account_id: AccountId, command: SignOut) -> None:
    try:
        await at.command(command, account_id)
    except (AccountUnknown, AccountIsWithdrawn):
        return  # the account was closed meanwhile, and its sign-ins with it


def _narrowed(principal: Principal, scope: str | None) -> Principal:
    if scope is None:
        return principal
    wanted = frozenset(scope.split())
    if not wanted or not wanted <= {each.value for each in principal.scopes}:
        raise ScopeInvalid("the sign-in may not do all that `scope` asks for")
    kept = frozenset(each for each in principal.scopes if each.value in wanted)
    return msgspec.structs.replace(principal, scopes=kept)
