"""Every table in Postgres, and what becomes of it in a backup. Pure. A table that is in none of these fails a test: who
adds one decides here.
"""

from collections.abc import Collection
from typing import Final

KEPT: Final = (
    "event_log",
    "partition_head",
    "idempotency",
    "person_key",
    "identity_credentials",
    "identity_profile_access",
    "identity_grants",
    "identity_one_time_tokens",
    "identity_device_codes",
    "identity_mail",
    "identity_api_key_secrets",
    "backfill_progress",
    "view_requests",
)
"""What nothing else says again, in the order in which rows may refer to others: what happened; what no event may hold
(ADR 9); which requests were answered; and what is on its way.
"""

DERIVED: Final = frozenset({"stream_snapshot", "projection_checkpoint", "view_versions", "relay_lease"})
"""Made again: folded from the log; how far views are, which begin anew; how far the relay is, which the manifest says.
So are the tables of views."""

PASSING: Final = frozenset({"relay_member", "alembic_version"})
"""Who lives at the moment; and what `migrate` says, which the manifest has as the revision."""

FILTERED: Final = {"view_requests": "outcome is not null"}
"""Which rows are kept, where not all are: nobody is to rebuild after a restore what was asked for before."""

BORN_FILLED: Final = frozenset({"partition_head", "relay_lease"})
"""Tables that have rows in an installation to which nothing has happened."""


def is_derived(table: str, views: Collection[str]) -> bool:
    """Whether a table is made again from events; that of a view that is being built, or was live before, too."""
    return table in DERIVED or table.partition("__v")[0] in views


def unclassified(tables: Collection[str], views: Collection[str]) -> list[str]:
    """The tables of which nobody has decided."""
    decided = {*KEPT, *PASSING}
    return sorted(table for table in tables if table not in decided and not is_derived(table, views))
