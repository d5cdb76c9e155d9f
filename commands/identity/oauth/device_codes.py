"""Televisions and other devices without a keyboard (RFC 8628): a device shows a short code, somebody enters it where
they are signed in, and the device, which has asked again and again, gets its tokens.

The sign-in is made when the code is approved, under ids that follow from the code: approving twice makes one, and a
device whose reply was lost asks again and gets the same. Only digests of the codes are kept.
"""

import hashlib
import re
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from commands.identity.oauth.refusals import (
    AuthorizationPending,
    DeviceCodeExpired,
    DeviceCodeUnknown,
    DeviceDenied,
    GrantInvalid,
    SlowDown,
)
from commands.identity.refusals import PinMissing, ProfileUnknown
from commands.identity.requests import Desk
from commands.identity.signing_in import DeviceToSignIn, TokensReply, sign_in, tokens_of
from commands.identity.throttling import Limit
from events.types import AccountId, DeviceId, SignInId
from infra.access.permissions import Principal
from infra.ids import new_secret
from infra.postgres import Connection

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; no digits to take for letters (RFC 8628 section 6.1)."""
USER_CODE_CHARS: Final = 8
MORE_S: Final = 5
"""How much longer a device waits after slow_down (RFC 8628 section 3.5)."""
JITTER_S: Final = 0.5

ADD: Final = """
insert into identity_device_codes (digest, user_digest, device, interval_s, expires_at) values ($1, $2, $3, $4, $5)
on conflict do nothing returning true
"""
ASK: Final = """
with before as (
    select digest, account_id is null and polled_at + make_interval(secs => interval_s - $3) > $2 as hasty
    from identity_device_codes where digest = $1 for update
)
update identity_device_codes as code
set polled_at = $2, interval_s = case when before.hasty then least(interval_s + $4, 3600) else interval_s end
from before where code.digest = before.digest
returning code.device, code.expires_at, code.account_id, code.denied, before.hasty, code.interval_s
"""
ENTERED: Final = """
select digest, device, account_id from identity_device_codes
where user_digest = $1 and expires_at > $2 and not denied
"""
ALLOW: Final = """
update identity_device_codes set account_id = $2, profile_id = $3, expires_at = $4
where digest = $1 and not denied and (account_id is null or account_id = $2) returning true
"""
DENY: Final = "update identity_device_codes set denied = true where digest = $1 and account_id is null"
CHOOSE: Final = "update identity_grants set profile_id = $2 where sign_in_id = $1"
GENERATION: Final = "select generation from identity_grants where sign_in_id = $1"
PROFILE: Final = "select pin_hash from identity_profile_access where profile_id = $1 and account_id = $2"


class Waiting(msgspec.Struct):
    """A device that waits, sealed in its row: what it is, and which client it runs."""

    client_id: str
    name: str
    type: str
    platform: str | None = None
    model: str | None = None


class Codes(msgspec.Struct):
    """What a device gets: the code that it asks with, and the one that it shows."""

    device_code: str
    user_code: str


async def begin(at: Desk, waiting: Waiting) -> Codes:
    """Have a device wait."""
    settings, pool = at.opened.settings, at.opened.pool
    sealed = at.master.seal(msgspec.json.encode(waiting).decode())
    expires_at = at.now + timedelta(seconds=settings.device_code_ttl_s)
    while True:
        codes = Codes(new_secret().hex(), _new_user_code())
        digests = (_digest(at, codes.device_code), _user_digest(at, codes.user_code))
        if await pool.fetchval(ADD, *digests, sealed, settings.device_code_interval_s, expires_at):
            return codes  # else another device shows the same code just now


async def collect(at: Desk, device_code: str, client_id: str) -> TokensReply:
    """The tokens that a device waited for: the same ones until it has refreshed them. Raises AuthorizationPending,
    SlowDown, DeviceCodeExpired, DeviceDenied, GrantInvalid.
    """
    digest = _digest(at, device_code)
    row: Any = await at.opened.pool.fetchrow(ASK, digest, at.now, JITTER_S, MORE_S)
    if row is None or _waiting(at, row["device"]).client_id != client_id:
        raise GrantInvalid("no such device code was given to this client")
    if row["expires_at"] <= at.now:
        raise DeviceCodeExpired("nobody entered the code in time; ask for another")
    if row["denied"]:
        raise DeviceDenied("the code was entered, and denied")
    if row["hasty"]:
        raise SlowDown(f"ask every {row['interval_s']} seconds")
    if row["account_id"] is None:
        raise AuthorizationPending("nobody has entered the code yet")
    sign_in_id = SignInId(_id_of(digest, "sign-in", row["account_id"]))
    if await at.opened.pool.fetchval(GENERATION, sign_in_id) != 1:
        raise GrantInvalid("the device code was used, or its sign-in has ended")
    return await tokens_of(at, sign_in_id, generation=1)


async def approve(
    at: Desk, caller: Principal, user_code: str, *, profile_id: str | None, instead_of: DeviceId | None
) -> Waiting:
    """Sign in on the device that shows a code. Raises DeviceCodeUnknown, TooManyAttempts, ProfileUnknown, PinMissing,
    DeviceLimitReached, DeviceUnknown.
    """
    account_id = _account_of(caller)
    row = await _entered(at, account_id, user_code)
    waiting = _waiting(at, row["device"])
    if row["account_id"] == account_id:
        return waiting
    if row["account_id"] is not None:
        raise _unknown()
    if profile_id is not None:
        await _check_profile(at, caller, profile_id)
    digest, settings = row["digest"], at.opened.settings
    sign_in_id = SignInId(_id_of(digest, "sign-in", account_id))
    collected_by = at.now + timedelta(seconds=settings.device_code_ttl_s)

    async def allow(connection: Connection) -> None:
        if not await connection.fetchval(ALLOW, digest, account_id, profile_id, collected_by):
            raise _unknown()  # somebody else was quicker
        await connection.execute(CHOOSE, sign_in_id, profile_id)

    await sign_in(
        at,
        account_id,
        DeviceToSignIn(name=waiting.name, type=waiting.type, platform=waiting.platform, model=waiting.model),
        method="device_code",
        instead_of=instead_of,
        new_device_id=DeviceId(_id_of(digest, "device", account_id)),
        new_sign_in_id=sign_in_id,
        secrets=allow,
    )
    return waiting


async def deny(at: Desk, caller: Principal, user_code: str) -> None:
    """Turn a device away. Raises DeviceCodeUnknown, TooManyAttempts."""
    row = await _entered(at, _account_of(caller), user_code)
    await at.opened.pool.execute(DENY, row["digest"])


async def _entered(at: Desk, account_id: AccountId, user_code: str) -> Any:
    """The row of a code that somebody entered; each that does not exist counts against them, so that codes cannot be
    guessed."""
    settings = at.opened.settings
    limit = Limit("device_code", account_id, settings.device_code_failures_max, settings.device_code_window_s)
    await at.throttle.take(limit)
    row = await at.opened.pool.fetchrow(ENTERED, _user_digest(at, user_code), at.now)
    if row is None:
        raise _unknown()
    await at.throttle.give_back(limit)
    return row


async def _check_profile(at: Desk, caller: Principal, profile_id: str) -> None:
    row: Any = await at.opened.pool.fetchrow(PROFILE, profile_id, _account_of(caller))
    if row is None:
        raise ProfileUnknown(f"the account has no profile {profile_id!r}")
    if row["pin_hash"] is not None and profile_id != caller.profile_id:
        raise PinMissing("the profile has a PIN: leave it out, and choose it on the device")


def _account_of(caller: Principal) -> AccountId:
    assert caller.account_id is not None  # the routes see to it
    return AccountId(caller.account_id)


def _new_user_code() -> str:
    number = int.from_bytes(new_secret(), "big")  # so long that no letter is likelier than another
    letters = []
    for _ in range(USER_CODE_CHARS):
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"


def _digest(at: Desk, device_code: str) -> bytes:
    return at.master.digest(f"device code\n{device_code}")


def _user_digest(at: Desk, user_code: str) -> bytes:
    entered = re.sub(r"[^A-Z]", "", user_code.upper())
    return at.master.digest(f"user code\n{entered}")


def _waiting(at: Desk, sealed: bytes) -> Waiting:
    return msgspec.json.decode(at.master.open(sealed), type=Waiting)


def _id_of(digest: bytes, what: str, account_id: str) -> str:
    return str(UUID(bytes=hashlib.sha256(digest + f"{what}\n{account_id}".encode()).digest()[:16]))


def _unknown() -> DeviceCodeUnknown:
    return DeviceCodeUnknown("no device waits under this code; look at the screen again")
