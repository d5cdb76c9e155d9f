"""What operators ask of versions of views over HTTP, and what became of it (ADR 22)."""

from infra.migrations.privileges import READER, grant, protect
from infra.migrations.sql import run_script

revision = "0024"
down_revision = "0023"

COMMANDS = "playhead_commands"

# Written with the events of the request's stream, in their transaction; `number` is the first one's place there.
SCRIPT = """
create table view_requests (
    view             text        not null,
    number           int         not null,
    action           text        not null,
    version          int,                    -- what it is done with; of a rebuild, what came of it
    after_version    int         not null,
    max_events_per_s int,
    accept           boolean     not null,
    force            boolean     not null,
    reason           text,
    asked_by         text        not null,
    asked_at         timestamptz not null default now(),
    begun_at         timestamptz,            -- when it was begun the last time
    tries            int         not null default 0,
    trouble          text,                   -- why it was not done yet
    ended_at         timestamptz,
    outcome          text,                   -- completed, or failed
    detail           text,
    primary key (view, number)
);
create index view_requests_open on view_requests (asked_at, view, number) where outcome is null;
create index view_requests_newest on view_requests (asked_at, view, number);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(COMMANDS, {"view_requests": "select, insert, update", "view_versions": "select"})
    grant(READER, {"view_requests": "select"})
    protect("view_requests", own={}, scopes=("operations:read",), writers=(COMMANDS,))
