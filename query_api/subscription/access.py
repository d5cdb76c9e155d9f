"""Whose money may be looked at: a viewer their own account's, staff with the scope for it everyone's."""

from typing import Annotated

from fastapi import Depends

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from query_api.access import EVERY_ACCOUNT_VIEW, own_account

__all__ = ["EVERY_ACCOUNT_VIEW", "OwnAccount", "Payer"]

Payer = Annotated[Principal, Depends(Needs(Scope.SUBSCRIPTION, Scope.BILLING_READ))]
OwnAccount = Annotated[str, Depends(own_account(Scope.SUBSCRIPTION, Scope.BILLING_READ))]
