"""Versions of views that stop at a cut through the history, to be looked at and never to be live (ADR 30)."""

from infra.migrations.sql import run_script

revision = "0030"
down_revision = "0027"

SCRIPT = """
alter table view_versions drop constraint view_versions_state_check;
alter table view_versions add constraint view_versions_state_check check (
    state in ('building', 'catching_up', 'ready', 'live', 'inspecting', 'inspection', 'retired')
);
-- Where it stops, before these offsets: {"asked": "2026-11-21T12:04:00+00:00", "ends": {"playback.events:3": 1000}}
alter table view_versions add column cut jsonb;
alter table view_versions add check (cut is not null or state not in ('inspecting', 'inspection'));
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
