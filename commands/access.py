"""Whose account a command is about: the caller's own, or anybody's for staff with the scope for it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path

from events.types import AccountId
from infra.access.authentication import Forbidden, Needs
from infra.access.permissions import Principal, Scope

AccountIdPath = Annotated[AccountId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]


class NotYourAccount(Forbidden):
    """The account is someone else's."""


def check_account(caller: Principal, account_id: str, *, own: Scope, staff: Scope | None = None) -> None:
    """Raises NotYourAccount, unless the caller has the scope `own` for their account, or `staff` for all."""
    if caller.account_id == account_id and own in caller.scopes:
        return
    if staff is None or staff not in caller.scopes:
        raise NotYourAccount("the access token is for another account; take one for this account")


def own_account(own: Scope, staff: Scope | None = None) -> Callable[..., Awaitable[AccountId]]:
    """A dependency: the account in the path. Raises Unauthenticated, ScopeMissing, NotYourAccount."""
    needs = Needs(own, *([staff] if staff else []))

    async def checked(caller: Annotated[Principal, Depends(needs)], account_id: AccountIdPath) -> AccountId:
        check_account(caller, account_id, own=own, staff=staff)
        return account_id

    return checked


OwnAccount = Annotated[AccountId, Depends(own_account(Scope.ACCOUNT))]
"""For routes of an account's owner alone."""
