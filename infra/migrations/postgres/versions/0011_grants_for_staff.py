"""Whether a sign-in's tokens carry its owner's roles: not on a device that was signed in by a code (RFC 8628, 5.4)."""

from infra.migrations.sql import run_script

revision = "0011"
down_revision = "0010"

SCRIPT = "alter table identity_grants add column for_staff boolean not null default true;"


def upgrade() -> None:
    """Add the column; sign-ins that there are keep what they have."""
    run_script(SCRIPT)
