"""Whose money may be looked at: a viewer their own account's, billing staff and operators everyone's."""

from typing import Annotated, Final

from fastapi import Depends, Path

from infra.authentication import Forbidden
from infra.problems import ProblemKind
from query_api.dependencies import EVERY_VIEW, ID_MAX_CHARS, ID_PATTERN, Caller

STAFF: Final = frozenset({"billing", "operator"})


class NotYourAccount(Forbidden):
    """The account is someone else's."""


NOT_YOUR_ACCOUNT = ProblemKind(403, "not-your-account", "The account belongs to someone else")
EVERY_ACCOUNT_VIEW: Final = (*EVERY_VIEW, NOT_YOUR_ACCOUNT)

AccountId = Annotated[str, Path(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description="An account")]


async def own_account(caller: Caller, account_id: AccountId) -> str:
    """The account in the path, once it is the caller's or the caller is staff. Raises NotYourAccount."""
    if caller.account_id != account_id and not STAFF & set(caller.roles):
        raise NotYourAccount("The access token is for another account; take one for the account in the path.")
    return account_id


OwnAccount = Annotated[str, Depends(own_account)]
