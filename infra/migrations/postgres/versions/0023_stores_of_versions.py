"""Versions of views in every store: which one a view is in (ADR 21)."""

from infra.migrations.sql import run_script

revision = "0023"
down_revision = "0022"

SCRIPT = """
alter table view_versions add column store text not null default 'postgres'
    check (store in ('postgres', 'redis', 'cassandra'));
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
