"""Accounts in Postgres: the address, sealed, and the roles of each."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.envelope import Event, Recorded
from events.identity import (
    AccountEvent,
    AccountLifeEvent,
    AccountRegistered,
    AccountWithdrawn,
    EmailChanged,
    RoleGranted,
    RoleRevoked,
)
from events.registry import members
from events.topics import IDENTITY
from projections.views import KeyedView

AccountStatus: TypeAlias = Literal["active", "withdrawn"]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `email`: sealed; None once the account is withdrawn. `roles`: in alphabetical order."""

    account_id: str
    email: str | None
    roles: tuple[str, ...] = ()
    status: AccountStatus = "active"
    registered_at: datetime
    updated_at: datetime


class Accounts(KeyedView[Account, str]):
    """One row an account; a withdrawn one stays, with nothing of its owner in it."""

    name = "identity_accounts"
    row = Account
    topics = (IDENTITY,)
    events = members(AccountLifeEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The account."""
        assert isinstance(recorded.data, AccountEvent)
        return recorded.data.account_id

    def project(self, row: Account | None, recorded: Recorded[Event]) -> Account | None:
        """The account after an event of its life."""
        event, at = recorded.data, recorded.envelope.time
        if isinstance(event, AccountRegistered):
            return Account(account_id=event.account_id, email=event.email, registered_at=at, updated_at=at)
        return replace(_after(row, event), updated_at=at) if row else None


def _after(row: Account, event: Event) -> Account:
    match event:
        case EmailChanged(email=email):
            return replace(row, email=email)
        case RoleGranted(role=role):
            return replace(row, roles=tuple(sorted({*row.roles, role.value})))
        case RoleRevoked(role=role):
            return replace(row, roles=tuple(held for held in row.roles if held != role.value))
        case AccountWithdrawn():
            return replace(row, email=None, roles=(), status="withdrawn")
        case _:  # PasswordChanged, PersonErased: only when
            return row
