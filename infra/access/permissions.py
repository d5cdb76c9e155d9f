"""What may be done, by whom: the scopes that routes ask for, and those that come with being a viewer or with a role.

One table for both APIs; a route names its scope by Needs (infra/access/authentication.py), and an access token carries
its own.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from events.identity import Role


class Scope(StrEnum):
    """One kind of access. Without a colon: to what is the caller's own; with one: to everyone's."""

    PLAYBACK = "playback"
    WATCHING = "watching"
    ACCOUNT = "account"
    SUBSCRIPTION = "subscription"
    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    BILLING_READ = "billing:read"
    BILLING_WRITE = "billing:write"
    PLAYBACK_READ = "playback:read"
    PLAYBACK_IMPORT = "playback:import"
    ACCOUNTS_READ = "accounts:read"
    ACCOUNTS_ERASE = "accounts:erase"
    OPERATIONS_READ = "operations:read"
    OPERATIONS_WRITE = "operations:write"
    AUDIT_READ = "audit:read"
    HISTORY_READ = "history:read"
    STAFF_WRITE = "staff:write"
    API_KEYS_WRITE = "api_keys:write"


VIEWER: Final = frozenset({Scope.PLAYBACK, Scope.WATCHING, Scope.ACCOUNT, Scope.SUBSCRIPTION, Scope.CATALOG_READ})
"""What every account may do with what is its own."""

OF_ROLE: Final = {
    Role.EDITOR: frozenset({Scope.CATALOG_READ, Scope.CATALOG_WRITE}),
    Role.BILLING: frozenset({Scope.CATALOG_READ, Scope.BILLING_READ, Scope.BILLING_WRITE}),
    Role.ANALYST: frozenset({Scope.CATALOG_READ, Scope.PLAYBACK_READ}),
    Role.AUDITOR: frozenset(
        {
            Scope.CATALOG_READ,
            Scope.AUDIT_READ,
            Scope.HISTORY_READ,
            Scope.PLAYBACK_READ,
            Scope.BILLING_READ,
            Scope.ACCOUNTS_READ,
        }
    ),
    Role.OPERATOR: frozenset(
        {
            Scope.CATALOG_READ,
            Scope.PLAYBACK_READ,
            Scope.PLAYBACK_IMPORT,
            Scope.BILLING_READ,
            Scope.ACCOUNTS_READ,
            Scope.ACCOUNTS_ERASE,
            Scope.OPERATIONS_READ,
            Scope.OPERATIONS_WRITE,
            Scope.AUDIT_READ,
            Scope.HISTORY_READ,
            Scope.STAFF_WRITE,
            Scope.API_KEYS_WRITE,
        }
    ),
}
"""What a member of staff may do with everyone's."""


def scopes_of(roles: Iterable[str], *, viewer: bool) -> frozenset[Scope]:
    """What somebody with these roles may do; `viewer`: they have an account of their own. An unknown role adds none."""
    known = [Role(role) for role in roles if role in OF_ROLE]
    return frozenset().union(VIEWER if viewer else (), *(OF_ROLE[role] for role in known))


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. `subject` names a person or a process in the log. A viewer has an account, and a profile once they
    chose one; `sign_in_id` and `device_id`: where they signed in. `maturity_limit`: as the profile's, or None.

    `scopes`: what they may do; unless it is narrowed, what their roles and their account give.
    """

    subject: str
    account_id: str | None = None
    profile_id: str | None = None
    sign_in_id: str | None = None
    device_id: str | None = None
    maturity_limit: int | None = None
    roles: tuple[str, ...] = ()
    scopes: frozenset[Scope] = frozenset()

    def __post_init__(self) -> None:
        if not self.scopes:
            given = scopes_of(self.roles, viewer=self.account_id is not None)
            msgspec.structs.force_setattr(self, "scopes", given)

    @property
    def is_staff(self) -> bool:
        """Whether they act for the operator of the installation, so that what they do is kept with its before and
        after.
        """
        return bool(self.roles) or self.account_id is None
