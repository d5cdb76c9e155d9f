"""Versions of views: which table of a view is live, which are being built beside it, and who keeps them (ADR 19)."""

from infra.migrations.privileges import READER, grant
from infra.migrations.sql import run_script

revision = "0018"
down_revision = "0017"

PROJECTIONS = "playhead_projections"
OTHERS = ("playhead_commands", "playhead_relay", "playhead_billing", "playhead_reaper")

# A version of a view is one of its aggregates too: they are written together. Its own checkpoints are those of the
# projection `postgres/<view>@<version>`, and live without any as soon as the projection itself keeps it.
SCRIPT = """
create table view_versions (
    view              text        not null,
    version           int         not null,
    state             text        not null check (state in ('building', 'catching_up', 'ready', 'live', 'retired')),
    table_name        text        not null,
    folds             jsonb       not null,  -- by view: the version of the fold that its rows come from
    keeper            text        not null check (keeper in ('projection', 'rebuild')),
    created_at        timestamptz not null default now(),
    started_at        timestamptz,
    ready_at          timestamptz,
    swapped_at        timestamptz,           -- when it became live the last time
    retired_at        timestamptz,
    worked_at         timestamptz,           -- when what builds it said so the last time
    records_done      bigint      not null default 0,
    records_total     bigint      not null default 0,
    records_set_aside bigint      not null default 0,
    records_per_s     double precision,
    paused            boolean     not null default false,
    max_events_per_s  int,
    waits             text,                  -- what it waits for now
    verified          jsonb,
    last_error        text,
    current_seen_at   timestamptz,           -- when a worker was seen that has these folds
    outdated_seen_at  timestamptz,           -- when one was seen that has others
    primary key (view, version)
);
create unique index view_versions_live on view_versions (view) where state = 'live';

-- Counts the swaps of any view of a topic: a worker reads the versions again when it has changed.
alter table projection_checkpoint add column swaps bigint not null default 0;

-- How far every live view in Postgres is. One that the projection does not keep (now) may be behind it.
create view postgres_progress as
    select topic, partition, min(next_offset) as next_offset, min(position) as position
    from projection_checkpoint
    where projection = 'postgres'
       or projection in (
           select 'postgres/' || view || '@' || version from view_versions where state = 'live' and keeper = 'rebuild'
       )
    group by topic, partition;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(PROJECTIONS, {"view_versions": "select, insert, update"})
    grant(READER, {"view_versions": "select"})
    for role in (READER, *OTHERS):
        grant(role, {"postgres_progress": "select"})
