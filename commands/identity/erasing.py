"""Erasing a person, by staff: the account ends, its key is destroyed, and an event certifies it (ADR 29). Who leaves
of their own is erased by account_routes.withdraw().
"""

from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field

from commands.access import AccountIdPath
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.access_tables import destroy_key
from commands.identity.account_credentials import by_account
from commands.identity.account_routes import OnWithdrawal
from commands.identity.addresses import deliverable
from commands.identity.commands import ErasePerson
from commands.identity.emails import texts
from commands.identity.emails.outbox import post
from commands.identity.problems import refused_by
from commands.identity.requests import At, Desk
from commands.replies import Recorded
from events.identity import ErasureGround
from events.types import AccountId
from infra.access.authentication import Needs
from infra.access.permissions import Scope
from infra.postgres import Connection

REFERENCE_MAX_CHARS: Final = 100
REFERENCE_PATTERN: Final = "^[0-9A-Za-z][0-9A-Za-z ./_-]*$"

IS_OPEN: Final = "select exists (select from identity_credentials where account_id = $1)"

router = APIRouter(prefix="/v1/accounts/{account_id}", tags=["staff"])


class ErasureBody(Body):
    """On what ground. `reference`: of the case, in your own books; it stays, so it names nobody."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ground": "request", "reference": "DSR-2026-0117"}]})

    ground: ErasureGround
    reference: Annotated[str, Field(max_length=REFERENCE_MAX_CHARS, pattern=REFERENCE_PATTERN)] | None = None


@router.post(
    "/erase",
    responses=refused_by(r.AccountUnknown),
    dependencies=[Depends(Needs(Scope.ACCOUNTS_ERASE))],
)
async def erase(request: Request, account_id: AccountIdPath, body: ErasureBody, at: At) -> Recorded:
    """Erase a person for good, and close their account and its subscription. Who is erased already is left as they are.
    Where they asked for it, a last letter tells them."""
    if await at.opened.pool.fetchval(IS_OPEN, account_id):
        on_withdrawal: OnWithdrawal = request.app.state.on_withdrawal
        await on_withdrawal(account_id, at.terms.context)
    address = await _address(at, account_id) if body.ground == "request" else None

    async def secrets(connection: Connection) -> None:
        await destroy_key(connection, account_id, at.now)
        if address is not None:
            await post(connection, at.master, texts.withdrawn(deliverable(address)), at.now)

    fingerprint = await at.key_fingerprint(account_id)
    command = ErasePerson(ground=body.ground, key_fingerprint=fingerprint, reference=body.reference)
    return await at.reply(command, account_id, secrets)


async def _address(at: Desk, account_id: AccountId) -> str | None:
    """Where the letter goes; None for nowhere any more."""
    try:
        known = await by_account(at, account_id)
    except InvalidTag:  # a key that nobody can open is destroyed as others are
        return None
    return known.email if known else None
