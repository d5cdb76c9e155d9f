"""Another address for an account: asked for with the password, and proved by a link that is sent there."""

from datetime import timedelta
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from commands.access import NotYourAccount, OwnAccount
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.account_credentials import (
    SET_EMAIL,
    Credentials,
    by_email,
    known_by_account,
)
from commands.identity.addresses import Email, deliverable, index_of
from commands.identity.commands import ChangeEmail
from commands.identity.emails import texts
from commands.identity.emails.limits import may_be_written_to
from commands.identity.emails.outbox import post
from commands.identity.one_time_tokens import Kept, Purpose, TokenText, consume, drop, find, keep, new_token
from commands.identity.passwords import PasswordText
from commands.identity.pins import check_password
from commands.identity.problems import refused_by
from commands.identity.requests import At, AtDoor, Desk
from commands.identity.signing_in import in_name_of
from commands.replies import Accepted, Recorded
from events.types import AccountId
from infra.access.authentication import Needs, Public
from infra.access.permissions import Principal, Scope
from infra.postgres import Connection

Caller = Annotated[Principal, Depends(Needs(Scope.ACCOUNT))]

accounts = APIRouter(prefix="/v1/accounts/{account_id}", tags=["accounts"])
changes = APIRouter(prefix="/v1/email-changes", tags=["accounts"])


class EmailBody(Body):
    """Another address, and the password."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"password": "kitchen-table-7-Walnut", "email": "ann@example.org"}]}
    )

    password: PasswordText
    email: Email


class EmailConfirmationBody(Body):
    """The token that came by mail to the new address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "t7Yv0pZC0n1kqPpV5x2mJr8u3sWq9aLd4fGh6jKl1Zx"}]}
    )

    token: TokenText


@accounts.post(
    "/email",
    status_code=202,
    responses=refused_by(
        NotYourAccount, r.AccountUnknown, r.AccountIsWithdrawn, r.PasswordWrong, r.TooManyAttempts, r.PasswordsBusy
    ),
)
async def change_email(account_id: OwnAccount, body: EmailBody, caller: Caller, at: At) -> Accepted:
    """Ask for another address, which takes effect when it is proved by the link that is sent there. The reply is the
    same for an address that has an account."""
    known = await known_by_account(at, account_id)
    await check_password(at, caller, account_id, body.password)
    await _ask_for_proof(at, known, body.email)
    return Accepted()


async def _ask_for_proof(at: Desk, known: Credentials, email: str) -> None:
    settings, token = at.opened.settings, new_token()
    other = await by_email(at, email)
    is_taken = other is not None and other.account_id != known.account_id
    if other is not None and is_taken:
        letter = texts.address_taken(deliverable(other.email))
    else:
        letter = texts.email_change(deliverable(email), settings.mail_link_base, token)
    wanted = await may_be_written_to(at, email, Purpose.EMAIL_CHANGE, known.account_id)
    lasts_s = settings.one_time_token_ttl_s if wanted and not is_taken else 0
    kept = Kept(known.account_id if wanted else None, at.master.seal(email))
    async with at.transaction() as connection:
        await keep(connection, token, Purpose.EMAIL_CHANGE, kept, expires_at=at.now + timedelta(seconds=lasts_s))
        await post(connection, at.master, letter if wanted else None, at.now)


@changes.post(
    "/confirm",
    responses=refused_by(r.OneTimeTokenInvalid, r.AccountExists, r.AccountUnknown, r.AccountIsWithdrawn),
    dependencies=[Depends(Public("the token from the mail says who it is"))],
)
async def confirm_email(body: EmailConfirmationBody, at: AtDoor) -> Recorded:
    """Have the account take the address that the link was sent to. The address before gets a notice."""
    kept = await find(at.opened.pool, body.token, Purpose.EMAIL_CHANGE, at.now)
    known = await known_by_account(at, AccountId(kept.account_id or ""))
    email = at.master.open(kept.sealed)

    async def secrets(connection: Connection) -> None:
        await consume(connection, body.token, at.now)
        try:
            await connection.execute(SET_EMAIL, known.account_id, at.master.digest(index_of(email)), at.now)
        except asyncpg.UniqueViolationError as error:
            raise r.AccountExists("the address has an account of its own by now") from error
        await drop(connection, known.account_id, Purpose.PASSWORD_RESET)  # sent to the address before
        await post(connection, at.master, texts.email_changed(deliverable(known.email)), at.now)

    person = await at.person(known.account_id)
    command = ChangeEmail(email=person.seal(email))
    return await in_name_of(at, known.account_id).reply(command, known.account_id, secrets)
