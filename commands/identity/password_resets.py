"""A password that was forgotten: another one by a link that is sent to the address of the account."""

from datetime import timedelta

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from commands.dependencies import ClientAddress
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.account_credentials import by_account, by_email, set_password
from commands.identity.addresses import Email, deliverable, index_of
from commands.identity.commands import ChangePassword
from commands.identity.emails import texts
from commands.identity.emails.limits import may_be_written_to
from commands.identity.emails.outbox import post
from commands.identity.one_time_tokens import Kept, Purpose, TokenText, consume, drop, find, invalid, keep, new_token
from commands.identity.passwords import PasswordText
from commands.identity.problems import refused_by
from commands.identity.requests import AtDoor
from commands.identity.sign_in_limits import limits_of_strangers
from commands.identity.signing_in import in_name_of
from commands.replies import Accepted
from infra.access.authentication import Public
from infra.postgres import Connection

router = APIRouter(prefix="/v1/password-resets", tags=["accounts"])


class PasswordResetBody(Body):
    """Whose password was forgotten."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ann@example.com"}]})

    email: Email


class NewPasswordBody(Body):
    """The token that came by mail, and another password."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"token": "t7Yv0pZC0n1kqPpV5x2mJr8u3sWq9aLd4fGh6jKl1Zx", "password": "garden-gate-9-Juniper"}]
        }
    )

    token: TokenText
    password: PasswordText


@router.post(
    "",
    status_code=202,
    responses=refused_by(),
    dependencies=[Depends(Public("whoever forgot their password cannot sign in"))],
)
async def ask_for_reset(body: PasswordResetBody, client: ClientAddress, at: AtDoor) -> Accepted:
    """Ask for a link. The reply is the same for every address, and as much is written; the mail goes to the address
    that the account proved, however this one is spelt."""
    known, token = await by_email(at, body.email), new_token()
    wanted = await may_be_written_to(at, body.email, Purpose.PASSWORD_RESET, client) and known is not None
    letter = None
    if wanted and known:
        letter = texts.password_reset(deliverable(known.email), at.opened.settings.mail_link_base, token)
    lasts_s = at.opened.settings.one_time_token_ttl_s if wanted else 0
    # Where no mail goes, the links before stay: else whoever asks often could keep the owner from using one.
    kept = Kept(known.account_id if known and wanted else None, at.master.seal(""))
    async with at.transaction() as connection:
        await keep(connection, token, Purpose.PASSWORD_RESET, kept, expires_at=at.now + timedelta(seconds=lasts_s))
        await post(connection, at.master, letter, at.now)
    return Accepted()


@router.post(
    "/confirm",
    status_code=204,
    responses=refused_by(
        r.OneTimeTokenInvalid, r.PasswordWeak, r.PasswordsBusy, r.AccountUnknown, r.AccountIsWithdrawn
    ),
    dependencies=[Depends(Public("the token from the mail says who it is"))],
)
async def reset_password(body: NewPasswordBody, client: ClientAddress, at: AtDoor) -> None:
    """Take another password. Every device is signed out."""
    kept = await find(at.opened.pool, body.token, Purpose.PASSWORD_RESET, at.now)
    known = await by_account(at, kept.account_id or "")
    if known is None:
        raise invalid()
    password = body.password.get_secret_value()
    await at.passwords.check(password, of=known.email)
    hashed = await at.passwords.hash(password)

    async def secrets(connection: Connection) -> None:
        await consume(connection, body.token, at.now)
        if not await set_password(connection, known, hashed, at):
            raise invalid()
        await drop(connection, known.account_id, Purpose.EMAIL_CHANGE)
        await post(connection, at.master, texts.password_changed(deliverable(known.email)), at.now)

    await in_name_of(at, known.account_id).command(ChangePassword(method="reset"), known.account_id, secrets)
    # Whoever reads the mail is let in, also while strangers guess.
    limits = limits_of_strangers(at.opened.settings, client, index_of(known.email))
    await at.throttle.forget(*(limit for limit in limits if limit.kind != "client"))
