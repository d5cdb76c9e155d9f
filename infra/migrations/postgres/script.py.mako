"""${message}."""

from infra.migrations.sql import run_script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply it."""
    run_script("""""")
