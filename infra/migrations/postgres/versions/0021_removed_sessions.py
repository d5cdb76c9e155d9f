"""A session may be taken out of its viewer's history; commands find it, by itself or by its title."""

from infra.migrations.privileges import grant
from infra.migrations.sql import run_script

revision = "0021"
down_revision = "0020"

COMMANDS = "playhead_commands"

SCRIPT = f"""
alter table playback_sessions add column removed_at timestamptz;  -- from the history, by its viewer
create index playback_sessions_title on playback_sessions (profile_id, title_id);
create policy playback_sessions_of_commands on playback_sessions for select to {COMMANDS} using (true);
"""
SEEN = "select (session_id, profile_id, started_at, title_id, series_id, removed_at)"


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(COMMANDS, {"playback_sessions": SEEN})
