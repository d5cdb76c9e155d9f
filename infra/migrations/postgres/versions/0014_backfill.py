"""How far each backfill is, so that one whose connection broke goes on where it stopped (ADR 18)."""

from infra.migrations.privileges import grant
from infra.migrations.sql import run_script

revision = "0014"
down_revision = "0013"

COMMANDS = "playhead_commands"
RELAY = "playhead_relay"

# lines_done: a prefix of the request's lines, all of which Kafka has acknowledged or nobody will take; digest: of it.
SCRIPT = """
create table backfill_progress (
    place      bytea       primary key,  -- of who asked, and their Idempotency-Key
    lines_done integer     not null,
    accepted   integer     not null,
    warnings   integer     not null,
    rejected   integer     not null,
    digest     bytea       not null,
    is_whole   boolean     not null,
    updated_at timestamptz not null,
    expires_at timestamptz not null
) with (fillfactor = 50);
create index backfill_progress_by_expiry on backfill_progress (expires_at);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(COMMANDS, {"backfill_progress": "select, insert, update, delete"})
    grant(RELAY, {"projection_checkpoint": "select"})
