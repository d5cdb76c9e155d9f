"""Who may command what: billing staff everything, viewers their own account."""

from typing import Annotated, Final

from fastapi import Depends

from commands.access import NotYourAccount, check_account, own_account
from events.types import AccountId
from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope

Caller = Annotated[Principal, Depends(Needs(Scope.SUBSCRIPTION, Scope.BILLING_WRITE))]
BillingStaff: Final = Depends(Needs(Scope.BILLING_WRITE))
Own = Annotated[AccountId, Depends(own_account(Scope.SUBSCRIPTION, Scope.BILLING_WRITE))]


def check_own(caller: Principal, account_id: str) -> None:
    """Raises NotYourAccount."""
    check_account(caller, account_id, own=Scope.SUBSCRIPTION, staff=Scope.BILLING_WRITE)


def account_of(caller: Principal, named: str | None) -> AccountId:
    """The account that a body names, or the caller's own. Raises NotYourAccount."""
    account_id = named or caller.account_id
    if account_id is None:
        raise NotYourAccount("name the account_id; the access token is for none")
    check_own(caller, account_id)
    return AccountId(account_id)
