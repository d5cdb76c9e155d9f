"""Whose account may be looked at: the caller's own, staff with the scope for it everyone's. And how what is Sealed in
it is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import asyncpg
from fastapi import Depends, Request

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.personal_data import MasterKey
from query_api.access import own_account

Holder = Annotated[Principal, Depends(Needs(Scope.ACCOUNT, Scope.ACCOUNTS_READ))]
OwnAccount = Annotated[str, Depends(own_account(Scope.ACCOUNT, Scope.ACCOUNTS_READ))]


class Opener:
    """Opens what is sealed for one account. `erased`: its key was destroyed, and nothing is left to open."""

    def __init__(self, master: MasterKey, account_id: str, wrapped: bytes | None) -> None:
        self._key = master.unwrap(wrapped, account_id)
        self.erased = self._key is None

    def open(self, sealed: str | None) -> str | None:
        """The value; None for one that was erased, or was never there."""
        return self._key.open(sealed) if self._key is not None and sealed is not None else None


@dataclass(frozen=True)
class Asked:
    """Whose account a request asks for, and who asks."""

    caller: Principal
    account_id: str
    master: MasterKey

    def opener(self, rows: Sequence[asyncpg.Record]) -> Opener:
        """Opens what is sealed in rows of the account, which each hold its key."""
        return Opener(self.master, self.account_id, rows[0]["wrapped"] if rows else None)


async def asked(request: Request, caller: Holder, account_id: OwnAccount) -> Asked:
    """What a request asks for. Raises Unauthenticated, ScopeMissing, NotYourAccount."""
    return Asked(caller, account_id, request.app.state.master_key)


Of = Annotated[Asked, Depends(asked)]
