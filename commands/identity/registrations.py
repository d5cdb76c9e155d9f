"""Registration: an account begins when its address is proved, by whoever knows the password that came with it.

Whether an address has an account already shows in no reply, and in no time that a reply takes: as much is computed and
written for one as for the other, and the mail tells.
"""

from datetime import timedelta
from typing import Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from commands.dependencies import ClientAddress
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.account_credentials import NEW, by_account, by_email
from commands.identity.addresses import Email, deliverable, index_of
from commands.identity.commands import RegisterAccount
from commands.identity.emails import texts
from commands.identity.emails.limits import may_be_written_to
from commands.identity.emails.outbox import post
from commands.identity.one_time_tokens import Kept, Purpose, TokenText, bind, find, keep, new_token
from commands.identity.passwords import PasswordText
from commands.identity.problems import refused_by
from commands.identity.requests import AtDoor, Desk
from commands.identity.sign_in_limits import limits_of_strangers
from commands.identity.signing_in import DeviceToSignIn, TokensReply, in_name_of, sign_in
from commands.replies import Accepted
from events.types import AccountId, DeviceId
from infra.access.authentication import Public
from infra.ids import new_id
from infra.personal_data import PersonKey
from infra.postgres import Connection

NEW_PERSON: Final = """
insert into person_key (person_id, wrapped, created_at) values ($1, $2, $3) on conflict (person_id) do nothing
"""

router = APIRouter(prefix="/v1/registrations", tags=["accounts"])


class RegistrationBody(Body):
    """Who wants an account."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ann@example.com", "password": "kitchen-table-7-Walnut"}]}
    )

    email: Email
    password: PasswordText


class ConfirmationBody(Body):
    """The token that came by mail, the password that was registered with, and the device to sign in on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token": "t7Yv0pZC0n1kqPpV5x2mJr8u3sWq9aLd4fGh6jKl1Zx",
                    "password": "kitchen-table-7-Walnut",
                    "device": {"name": "Living room", "type": "tv"},
                }
            ]
        }
    )

    token: TokenText
    password: PasswordText
    device: DeviceToSignIn


class Pending(msgspec.Struct, frozen=True):
    """A registration that waits for its proof. Its ids are chosen already, so that a proof that comes twice begins one
    account and signs in on one device."""

    email: str
    password_hash: str
    account_id: AccountId
    device_id: DeviceId


@router.post(
    "",
    status_code=202,
    responses=refused_by(r.PasswordWeak, r.PasswordsBusy),
    dependencies=[Depends(Public("whoever registers has no account yet"))],
)
async def register(body: RegistrationBody, client: ClientAddress, at: AtDoor) -> Accepted:
    """Ask for an account. What happens next is in the mail; the reply is the same for every address."""
    password = body.password.get_secret_value()
    await at.passwords.check(password, of=body.email)
    hashed = await at.passwords.hash(password)
    pending = Pending(body.email, hashed, AccountId(new_id()), DeviceId(new_id()))
    await _ask_for_proof(at, pending, client)
    return Accepted()


async def _ask_for_proof(at: Desk, pending: Pending, client: str) -> None:
    token, link_base = new_token(), at.opened.settings.mail_link_base
    known = await by_email(at, pending.email)
    if known is None:
        letter = texts.registration(deliverable(pending.email), link_base, token)
    else:
        letter = texts.already_registered(deliverable(known.email), link_base)
    wanted = await may_be_written_to(at, pending.email, Purpose.REGISTRATION, client)
    lasts_s = at.opened.settings.one_time_token_ttl_s if wanted and known is None else 0
    kept = Kept(None, at.master.seal(msgspec.json.encode(pending).decode()))
    expires_at = at.now + timedelta(seconds=lasts_s)
    async with at.transaction() as connection:
        await keep(connection, token, Purpose.REGISTRATION, kept, expires_at=expires_at)
        await post(connection, at.master, letter if wanted else None, at.now)


@router.post(
    "/confirm",
    status_code=201,
    responses=refused_by(
        r.OneTimeTokenInvalid, r.CredentialsWrong, r.TooManyAttempts, r.PasswordsBusy, r.AccountExists
    ),
    dependencies=[Depends(Public("the token from the mail and the password say who it is"))],
)
async def confirm(body: ConfirmationBody, client: ClientAddress, at: AtDoor) -> TokensReply:
    """Begin the account, and sign in. Somebody else's registration of one's address is of no use to them: whoever
    reads the mail does not know their password, and they do not read the mail.

    A confirmation that comes again, its reply having been lost, signs in again, for as long as the token lasts.
    """
    kept = await find(at.opened.pool, body.token, Purpose.REGISTRATION, at.now)
    pending = msgspec.json.decode(at.master.open(kept.sealed), type=Pending)
    known = await by_account(at, pending.account_id)
    hashed = known.password_hash if known else pending.password_hash
    async with at.throttle.attempt(*limits_of_strangers(at.opened.settings, client, pending.account_id)):
        if not await at.passwords.verify(body.password.get_secret_value(), hashed):
            raise r.CredentialsWrong("the password is not the one that was registered with")
    if known is None:
        await _begin(at, body.token, pending)
    device = body.device.model_copy(update={"device_id": None})  # one of another account, if any
    return await sign_in(at, pending.account_id, device, method="registration", new_device_id=pending.device_id)


async def _begin(at: Desk, token: str, pending: Pending) -> None:
    known = await by_email(at, pending.email)
    if known and known.account_id != pending.account_id:
        raise _exists()
    person = await _person(at, pending.account_id)

    async def secrets(connection: Connection) -> None:
        digest = at.master.digest(index_of(pending.email))
        try:
            await connection.execute(NEW, pending.account_id, digest, pending.password_hash, at.now)
        except asyncpg.UniqueViolationError as error:  # another registration of the address was proved meanwhile
            raise _exists() from error
        await bind(connection, token, pending.account_id)

    command = RegisterAccount(account_id=pending.account_id, email=person.seal(pending.email))
    await in_name_of(at, pending.account_id).command(command, pending.account_id, secrets)


async def _person(at: Desk, account_id: AccountId) -> PersonKey:
    """The person's key, made unless it was before: in a transaction of its own, so that a confirmation that comes
    again seals as the first one did."""
    _, wrapped = at.master.new_person(account_id)
    await at.opened.pool.execute(NEW_PERSON, account_id, wrapped, at.now)
    return await at.person(account_id)


def _exists() -> r.AccountExists:
    return r.AccountExists("the address has an account by now: sign in, or reset its password")
