"""Who may command what: billing staff everything, viewers their own account."""

from typing import Annotated, Final

from fastapi import Depends, Path

from events.types import AccountId
from infra.authentication import Forbidden, principal
from infra.permissions import Principal

BILLING: Final = "billing"
AccountIdPath = Annotated[AccountId, Path(min_length=1, max_length=64, pattern="^[0-9a-zA-Z_-]+$")]
Caller = Annotated[Principal, Depends(principal)]


class NotYourAccount(Forbidden):
    """The account is someone else's."""


async def billing_staff(caller: Caller) -> Principal:
    """A caller with the billing role. Raises Forbidden."""
    if BILLING not in caller.roles:
        raise Forbidden(f"only billing staff may do this; ask for a token with the role `{BILLING}`")
    return caller


def check_account(caller: Principal, account_id: str) -> None:
    """Raises NotYourAccount."""
    if caller.account_id != account_id and BILLING not in caller.roles:
        raise NotYourAccount("the access token is for another account; take one for this account")


async def own_account(caller: Caller, account_id: AccountIdPath) -> AccountId:
    """The account in the path, once it is the caller's or the caller is billing staff. Raises NotYourAccount."""
    check_account(caller, account_id)
    return account_id


def account_of(caller: Principal, named: str | None) -> AccountId:
    """The account that a body names, or the caller's own. Raises NotYourAccount."""
    account_id = named or caller.account_id
    if account_id is None:
        raise NotYourAccount("name the account_id; the access token is for none")
    check_account(caller, account_id)
    return AccountId(account_id)
