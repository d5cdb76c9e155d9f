"""A sign-in, however it was earned (a password, a proved address, a code on a television): its event, its grant, and
the tokens that it is used by.
"""

from dataclasses import replace
from typing import Annotated

from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field

from commands.fields import Body, Code, Id, PlainName
from commands.identity.access_tables import principal_of
from commands.identity.allowances import allowances_of
from commands.identity.commands import SignIn
from commands.identity.refusals import SignInUnknown
from commands.identity.requests import Desk, Secrets
from commands.identity.sign_in_limits import device_token
from events.identity import Device, SignInMethod
from events.types import AccountId, DeviceId, SignInId
from infra.access.permissions import Principal
from infra.ids import new_id
from infra.postgres import Connection


class DeviceToSignIn(Body):
    """The device that somebody signs in on. `device_id`: as an earlier sign-in replied; left out for a new one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Living room", "type": "tv", "platform": "webos", "model": "C3"}]}
    )

    device_id: Id | None = None
    name: PlainName
    type: Code
    platform: Code | None = None
    model: Code | None = None


class TokensReply(BaseModel):
    """The tokens of a sign-in. `expires_in`: seconds; RFC 6749's own names, so that its clients can read it."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    refresh_token: str
    scope: str
    account_id: str
    device_id: str
    sign_in_id: str
    profile_id: Annotated[str | None, Field(description="null until a profile was chosen")] = None
    device_token: Annotated[
        str, Field(description="show it at the next sign-in on this device, so that failures of others do not count")
    ]


async def sign_in(  # noqa: PLR0913 - the ways to sign in differ in them
    at: Desk,
    account_id: AccountId,
    device: DeviceToSignIn,
    *,
    method: SignInMethod,
    instead_of: DeviceId | None = None,
    new_device_id: DeviceId | None = None,
    new_sign_in_id: SignInId | None = None,
    secrets: Secrets | None = None,
) -> TokensReply:
    """Sign an account in. `new_device_id`: of a device that names none. `new_sign_in_id`: what makes one sign-in of
    requests that come twice. Raises DeviceLimitReached, DeviceUnknown, AccountUnknown, AccountIsWithdrawn."""
    person = await at.person(account_id)
    allowed = await allowances_of(at.opened.pool, account_id, at.now, at.opened.settings)
    registered = Device(
        device_id=new_device_id or DeviceId(new_id()),
        name=person.seal(device.name),
        type=device.type,
        platform=device.platform,
        model=device.model,
    )
    command = SignIn(
        sign_in_id=new_sign_in_id or SignInId(new_id()),
        device=registered,
        known_as=DeviceId(device.device_id) if device.device_id else new_device_id,
        method=method,
        devices_allowed=allowed.devices,
        instead_of=instead_of,
    )
    signed_in: Principal | None = None

    async def write(connection: Connection) -> None:
        nonlocal signed_in
        if secrets is not None:
            await secrets(connection)
        # Read here: a moment later another sign-in on the device may have replaced this one.
        signed_in = await principal_of(connection, command.sign_in_id, at.now)

    await in_name_of(at, account_id).command(command, account_id, write)
    return reply_for(at, signed_in, 1) if signed_in else await tokens_of(at, command.sign_in_id, generation=1)


async def tokens_of(at: Desk, sign_in_id: SignInId, *, generation: int) -> TokensReply:
    """Tokens for a sign-in as it stands. Raises SignInUnknown."""
    principal = await principal_of(at.opened.pool, sign_in_id, at.now)
    if principal is None:
        raise SignInUnknown("the sign-in has ended; sign in again")
    return reply_for(at, principal, generation)


def reply_for(at: Desk, principal: Principal, generation: int) -> TokensReply:
    """Tokens that speak for a principal who signed in."""
    tokens = at.opened.tokens
    assert principal.account_id and principal.device_id and principal.sign_in_id
    return TokensReply(
        access_token=tokens.mint_access(principal),
        expires_in=at.opened.settings.access_token_ttl_s,
        refresh_token=tokens.mint_refresh(principal.sign_in_id, generation),
        scope=" ".join(sorted(principal.scopes)),
        account_id=principal.account_id,
        device_id=principal.device_id,
        sign_in_id=principal.sign_in_id,
        profile_id=principal.profile_id,
        device_token=device_token(at.master, principal.account_id, principal.device_id),
    )


def in_name_of(at: Desk, account_id: AccountId) -> Desk:
    """The desk for what an account's owner does while nobody is signed in."""
    return replace(at, terms=replace(at.terms, context=structs.replace(at.terms.context, principal=account_id)))
