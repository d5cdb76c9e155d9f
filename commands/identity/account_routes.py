"""What the owner of an account changes of it: the password, and whether there is an account at all. Each takes the
password again, since whoever holds a device is not always its owner.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict

from commands.access import NotYourAccount, OwnAccount
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.account_credentials import (
    by_account,
    known_by_account,
    set_password,
)
from commands.identity.addresses import deliverable
from commands.identity.commands import ChangePassword, WithdrawAccount
from commands.identity.emails import texts
from commands.identity.emails.outbox import post
from commands.identity.one_time_tokens import Purpose, drop
from commands.identity.passwords import PasswordText
from commands.identity.pins import check_password, was_handled
from commands.identity.problems import refused_by
from commands.identity.requests import At
from commands.replies import Recorded
from events.envelope import Context
from events.types import AccountId, SignInId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.postgres import Connection

OnWithdrawal: TypeAlias = Callable[[AccountId, Context], Awaitable[None]]
"""Ends what other contexts have for an account, before it is withdrawn. May come again for the same account."""

Caller = Annotated[Principal, Depends(Needs(Scope.ACCOUNT))]
OF_PASSWORD = (r.PasswordWrong, r.TooManyAttempts, r.PasswordsBusy)
REFUSED = (NotYourAccount, r.AccountUnknown, r.AccountIsWithdrawn, *OF_PASSWORD)

router = APIRouter(prefix="/v1/accounts/{account_id}", tags=["accounts"])


class PasswordBody(Body):
    """Another password."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"current_password": "kitchen-table-7-Walnut", "new_password": "garden-gate-9-Juniper"}]
        }
    )

    current_password: PasswordText
    new_password: PasswordText


class WithdrawalBody(Body):
    """The password."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "kitchen-table-7-Walnut"}]})

    password: PasswordText


@router.post("/password", responses=refused_by(*REFUSED, r.PasswordWeak))
async def change_password(account_id: OwnAccount, body: PasswordBody, caller: Caller, at: At) -> Recorded:
    """Take another password. Every other device is signed out."""
    known = await known_by_account(at, account_id)
    await at.passwords.check(body.new_password.get_secret_value(), of=known.email)
    proved = not await was_handled(at)
    if proved:
        await check_password(at, caller, account_id, body.current_password)
    hashed = await at.passwords.hash(body.new_password.get_secret_value())

    async def secrets(connection: Connection) -> None:
        if not proved or not await set_password(connection, known, hashed, at):
            raise r.PasswordWrong("the password was changed meanwhile")
        await drop(connection, account_id, Purpose.PASSWORD_RESET, Purpose.EMAIL_CHANGE)
        await post(connection, at.master, texts.password_changed(deliverable(known.email)), at.now)

    kept = SignInId(caller.sign_in_id) if caller.sign_in_id else None
    return await at.reply(ChangePassword(method="changed", kept=kept), account_id, secrets)


@router.post("/withdraw", responses=refused_by(*REFUSED))
async def withdraw(request: Request, account_id: OwnAccount, body: WithdrawalBody, caller: Caller, at: At) -> Recorded:
    """Close the account for good: every sign-in and the subscription end, and personal data is erased. Repeating it
    changes nothing."""
    known = await by_account(at, account_id)
    proved = known is None or not await was_handled(at)
    if known is not None and proved:
        await check_password(at, caller, account_id, body.password)
        on_withdrawal: OnWithdrawal = request.app.state.on_withdrawal
        await on_withdrawal(account_id, at.terms.context)

    async def secrets(connection: Connection) -> None:
        if not proved:
            raise r.PasswordWrong("the first reply to this request is not kept any more; send it under another key")
        if known is not None:
            await post(connection, at.master, texts.withdrawn(deliverable(known.email)), at.now)

    leaving = WithdrawAccount(key_fingerprint=await at.key_fingerprint(account_id))
    return await at.reply(leaving, account_id, secrets)
