"""Sign-ins ended over HTTP: one's own, one on another device, or all. Ending what has ended changes nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import ConfigDict

from commands.access import NotYourAccount, OwnAccount
from commands.fields import Body
from commands.identity.commands import SignOut, SignOutEverywhere
from commands.identity.problems import refused_by
from commands.identity.refusals import AccountIsWithdrawn, AccountUnknown, SignInUnknown
from commands.identity.requests import At
from commands.replies import Recorded
from events.types import AccountId, SignInId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope

router = APIRouter(prefix="/v1", tags=["sessions"])

SignInIdPath = Annotated[SignInId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
Caller = Annotated[Principal, Depends(Needs(Scope.ACCOUNT))]


class EndAllBody(Body):
    """`keep_this`: all but the sign-in that asks."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keep_this": True}]})

    keep_this: bool = False


@router.post("/sign-out", status_code=204, responses=refused_by(SignInUnknown, AccountUnknown, AccountIsWithdrawn))
async def sign_out(caller: Caller, at: At) -> Response:
    """End the caller's own sign-in: its refresh token is refused at once, its access token a moment later."""
    if caller.account_id is None or caller.sign_in_id is None:
        raise SignInUnknown("the access token is of no sign-in, so there is none to end")
    await at.command(SignOut(sign_in_id=SignInId(caller.sign_in_id)), AccountId(caller.account_id))
    return Response(status_code=204)


@router.post(
    "/accounts/{account_id}/sessions/{sign_in_id}/end",
    responses=refused_by(NotYourAccount, AccountUnknown, AccountIsWithdrawn),
)
async def end_session(account_id: OwnAccount, sign_in_id: SignInIdPath, at: At) -> Recorded:
    """End one sign-in of the account."""
    return await at.reply(SignOut(sign_in_id=sign_in_id), account_id)


@router.post(
    "/accounts/{account_id}/sessions/end-all",
    responses=refused_by(NotYourAccount, AccountUnknown, AccountIsWithdrawn),
)
async def end_all_sessions(account_id: OwnAccount, body: EndAllBody, caller: Caller, at: At) -> Recorded:
    """End all sign-ins of the account, on every device."""
    kept = SignInId(caller.sign_in_id) if body.keep_this and caller.sign_in_id else None
    return await at.reply(SignOutEverywhere(kept=kept), account_id)
