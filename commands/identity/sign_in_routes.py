"""Sign-in by password. An unknown address, a wrong password and a registration that was not proved look the same."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from commands.dependencies import ClientAddress
from commands.fields import Body, Id
from commands.identity import refusals as r
from commands.identity.account_credentials import Credentials, by_email, set_password
from commands.identity.addresses import Email, index_of
from commands.identity.passwords import PasswordText
from commands.identity.problems import refused_by
from commands.identity.requests import AtDoor, Desk, Secrets
from commands.identity.sign_in_limits import known_device, limits_of_device, limits_of_strangers
from commands.identity.signing_in import DeviceToSignIn, TokensReply, sign_in
from commands.identity.throttling import Limit
from events.types import DeviceId
from infra.access.authentication import Public
from infra.postgres import Connection

router = APIRouter(prefix="/v1", tags=["accounts"])


class SignInBody(Body):
    """Who signs in, and where. `remove_device_id`: a device to remove, where the plan allows no more of them.
    `device_token`: as the last sign-in on this device replied, so that others' failures do not count against it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "ann@example.com",
                    "password": "kitchen-table-7-Walnut",
                    "device": {"name": "Living room", "type": "tv"},
                }
            ]
        }
    )

    email: Email
    password: PasswordText
    device: DeviceToSignIn
    remove_device_id: Id | None = None
    device_token: Annotated[str | None, Field(max_length=200)] = None


@router.post(
    "/sign-in",
    responses=refused_by(r.CredentialsWrong, r.TooManyAttempts, r.PasswordsBusy, r.DeviceLimitReached, r.DeviceUnknown),
    dependencies=[Depends(Public("the address and the password say who it is"))],
)
async def sign_in_by_password(body: SignInBody, client: ClientAddress, at: AtDoor) -> TokensReply:
    """Sign in. The sign-in that was on the device before ends."""
    known = await by_email(at, body.email)
    password = body.password.get_secret_value()
    async with at.throttle.attempt(*_limits(at, body, known, client)):
        if not await at.passwords.verify(password, known.password_hash if known else None) or known is None:
            raise r.CredentialsWrong("the address or the password is wrong, or the registration was not confirmed")
    return await sign_in(
        at,
        known.account_id,
        body.device,
        method="password",
        instead_of=DeviceId(body.remove_device_id) if body.remove_device_id else None,
        secrets=await _rehashed(at, known, password),
    )


def _limits(at: Desk, body: SignInBody, known: Credentials | None, client: str) -> tuple[Limit, ...]:
    settings = at.opened.settings
    if known and (device_id := known_device(at.master, known.account_id, body.device_token)):
        return limits_of_device(settings, known.account_id, device_id)
    return limits_of_strangers(settings, client, index_of(body.email))


async def _rehashed(at: Desk, known: Credentials, password: str) -> Secrets | None:
    """Writes the password's hash at today's cost, if it has another."""
    if not at.passwords.is_outdated(known.password_hash):
        return None
    try:
        hashed = await at.passwords.hash(password)
    except r.PasswordsBusy:
        return None  # the next time will do

    async def secrets(connection: Connection) -> None:
        await set_password(connection, known, hashed, at)

    return secrets
