"""Sessions that are not over, found by account and by title, and what the reaper may read of them."""

from infra.migrations.privileges import create_roles, grant
from infra.migrations.sql import run_script

revision = "0015"
down_revision = "0014"

REAPER = "playhead_reaper"

# exit_reason is set once, and accounts and titles never change: the update that every report makes stays in place
# (HOT). An index on when a session was last heard of would cost each of them an entry.
OPEN = """
create index playback_sessions_open on playback_sessions (account_id, session_id) where exit_reason is null;
create index playback_sessions_open_of_title on playback_sessions (title_id) where exit_reason is null;
"""
ROWS = f"create policy playback_sessions_of_reaper on playback_sessions for select to {REAPER} using (true);"


def upgrade() -> None:
    """Apply it."""
    run_script(OPEN)
    create_roles((REAPER,))
    grant(REAPER, {"playback_sessions": "select", "projection_checkpoint": "select"})
    run_script(ROWS)
