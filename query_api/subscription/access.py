"""Whose money may be looked at: a viewer their own account's, staff with the scope for it everyone's."""

from typing import Annotated, Final

from fastapi import Depends, Path

from infra.authentication import Forbidden, Needs
from infra.permissions import Principal, Scope
from infra.problems import ProblemKind
from query_api.dependencies import EVERY_VIEW, ID_MAX_CHARS, ID_PATTERN


class NotYourAccount(Forbidden):
    """The account is someone else's."""


NOT_YOUR_ACCOUNT = ProblemKind(403, "not-your-account", "The account belongs to someone else")
EVERY_ACCOUNT_VIEW: Final = (*EVERY_VIEW, NOT_YOUR_ACCOUNT)

AccountId = Annotated[str, Path(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description="An account")]
Payer = Annotated[Principal, Depends(Needs(Scope.SUBSCRIPTION, Scope.BILLING_READ))]


async def own_account(caller: Payer, account_id: AccountId) -> str:
    """The account in the path, once it is the caller's or the caller is staff. Raises NotYourAccount."""
    own = caller.account_id == account_id and Scope.SUBSCRIPTION in caller.scopes
    if not own and Scope.BILLING_READ not in caller.scopes:
        raise NotYourAccount("The access token is for another account; take one for the account in the path.")
    return account_id


OwnAccount = Annotated[str, Depends(own_account)]
