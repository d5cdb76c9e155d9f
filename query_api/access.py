"""Whose account is read: the caller's own, or anybody's for staff with the scope for it. The commands API asks the
same in commands/access.py.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Path

from infra.access.authentication import Forbidden, Needs
from infra.access.permissions import Principal, Scope
from infra.http.problems import ProblemKind
from query_api.dependencies import EVERY_VIEW, ID_MAX_CHARS, ID_PATTERN


class NotYourAccount(Forbidden):
    """The account is someone else's."""


NOT_YOUR_ACCOUNT = ProblemKind(403, "not-your-account", "The account belongs to someone else")
EVERY_ACCOUNT_VIEW: Final = (*EVERY_VIEW, NOT_YOUR_ACCOUNT)

AccountId = Annotated[
    str,
    Path(min_length=1, max_length=ID_MAX_CHARS, pattern=ID_PATTERN, description="An account", examples=["household-1"]),
]


def check_account(caller: Principal, account_id: str, *, own: Scope, staff: Scope) -> None:
    """Raises NotYourAccount, unless the caller has the scope `own` for their account, or `staff` for all."""
    if caller.account_id == account_id and own in caller.scopes:
        return
    if staff not in caller.scopes:
        raise NotYourAccount("The access token is for another account; take one for the account in the path.")


def own_account(own: Scope, staff: Scope) -> Callable[..., Awaitable[str]]:
    """A dependency: the account in the path. Raises Unauthenticated, ScopeMissing, NotYourAccount."""

    async def checked(caller: Annotated[Principal, Depends(Needs(own, staff))], account_id: AccountId) -> str:
        check_account(caller, account_id, own=own, staff=staff)
        return account_id

    return checked
