"""Dead letters can be retried and discarded (ADR 20): what became of them, and who decided it."""

from infra.migrations.privileges import READER, grant, protect
from infra.migrations.sql import run_script

revision = "0020"
down_revision = "0019"

PROJECTIONS = "playhead_projections"
COMMANDS = "playhead_commands"
DECISIONS = "operations_dead_letter_decisions"

SCRIPT = f"""
alter table dead_letters
    add column views           jsonb   not null default '[]',
    add column headers         jsonb   not null default '[]',
    add column attempt         bigint  not null default 0,
    add column body_left       boolean not null default false,
    add column applied_attempt bigint,
    add column applied_at      timestamptz;
create table {DECISIONS} (
    letter_id    text        primary key,
    retries      bigint      not null,
    is_discarded boolean     not null,
    decided_at   timestamptz not null,
    decided_by   text        not null,
    reason       text
);
"""
SEEN = f"""
    create policy dead_letters_of_commands on dead_letters for select to {COMMANDS} using (true);
    create policy {DECISIONS}_of_commands on {DECISIONS} for select to {COMMANDS} using (true);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(PROJECTIONS, {DECISIONS: "select, insert, update, delete"})
    grant(READER, {DECISIONS: "select"})
    grant(COMMANDS, {DECISIONS: "select", "dead_letters": "select"})
    protect(DECISIONS, own={}, scopes=("operations:read",), writers=(PROJECTIONS,))
    run_script(SEEN)
