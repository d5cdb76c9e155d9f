"""Who works in which role. Access tokens that were made before say so for settings.access_token_ttl_s at most; the next
that is refreshed has the roles as they are.
"""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict

from commands.access import AccountIdPath
from commands.fields import Body
from commands.identity import refusals as r
from commands.identity.commands import GrantRole, RevokeRole
from commands.identity.problems import refused_by
from commands.identity.requests import At
from commands.replies import Recorded
from events.identity import Role
from events.types import AccountId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope

Caller = Annotated[Principal, Depends(Needs(Scope.STAFF_WRITE))]

router = APIRouter(prefix="/v1/accounts/{account_id}/roles", tags=["staff"])


class RoleBody(Body):
    """A role."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "editor"}]})

    role: Role


@router.post("", responses=refused_by(r.AccountUnknown, r.AccountIsWithdrawn, r.RoleForOneself))
async def grant_role(account_id: AccountIdPath, body: RoleBody, caller: Caller, at: At) -> Recorded:
    """Let the account's owner work in a role, from the next access token on. Nobody does it for themselves."""
    by = AccountId(caller.account_id) if caller.account_id else None
    return await at.reply(GrantRole(role=body.role, by=by), account_id)


@router.post("/{role}/revoke", responses=refused_by(r.AccountUnknown, r.AccountIsWithdrawn))
async def revoke_role(account_id: AccountIdPath, role: Role, _: Caller, at: At) -> Recorded:
    """Let the account's owner not work in a role any more. Access tokens that were made before say so for some
    minutes: end the account's sign-ins to have them refused at once."""
    return await at.reply(RevokeRole(role=role), account_id)
