"""Whose account a command is about: the caller's own, or anybody's for staff with the scope for it; or whose profile,
the caller's own alone.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Path

from events.types import AccountId, ProfileId
from infra.access.authentication import Forbidden, Needs
from infra.access.permissions import Principal, Scope

AccountIdPath = Annotated[AccountId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
ProfileIdPath = Annotated[ProfileId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]


class NotYourAccount(Forbidden):
    """The account is someone else's."""


class NotYourProfile(Forbidden):
    """The profile is another viewer's."""


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


class Watcher(NamedTuple):
    """A viewer's own profile, and the account that it is of."""

    account_id: AccountId
    profile_id: ProfileId
    subject: str


async def own_watching(
    caller: Annotated[Principal, Depends(Needs(Scope.WATCHING))], profile_id: ProfileIdPath
) -> Watcher:
    """The profile in the path. Raises Unauthenticated, ScopeMissing, NotYourProfile."""
    if caller.profile_id != profile_id or caller.account_id is None:
        raise NotYourProfile("the access token is for another profile; take one for the profile in the path")
    return Watcher(AccountId(caller.account_id), profile_id, caller.subject)


OwnWatching = Annotated[Watcher, Depends(own_watching)]
"""For routes about what a profile watched."""
