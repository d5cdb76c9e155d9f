"""A playback session says which app it played in, and which CDN served it."""

from infra.migrations.sql import run_script

revision = "0016"
down_revision = "0015"

SCRIPT = """
alter table playback_sessions
    add column app_version text,
    add column cdn         text,  -- as a report said last
    add column cdn_edge    text;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
