"""A playback session's row becomes its summary: whose and what in full, how it was watched, and how it ended."""

from infra.migrations.sql import run_script

revision = "0012"
down_revision = "0011"

# Of a session that was played before, what it was folded from is unknown: it goes on where it was, measured from there.
SCRIPT = """
alter table playback_sessions rename column end_reason to exit_reason;
alter table playback_sessions
    add column series_name          text,
    add column credits_start_ms     bigint,
    add column next_title_id        text,
    add column device_name          text,
    add column platform             text,
    add column os                   text,
    add column model                text,
    add column player               text,
    add column player_version       text,
    add column offline              boolean     not null default false,
    add column territory            text,
    add column entitled_by          text,       -- subscription | purchase | free
    add column limit_unchecked      boolean     not null default false,
    add column last_recorded_at     timestamptz,  -- our clock, of the last event
    add column moved_at             timestamptz,  -- our clock, of the last event in which the playhead moved
    add column cmcd_count           bigint      not null default 0,
    add column watched              jsonb       not null default '[]',  -- positions in ms: [from, to, from, to, ...]
    add column watched_ms           bigint      not null default 0,
    add column completion           double precision,
    add column playing_ms           bigint      not null default 0,
    add column ad_ms                bigint      not null default 0,
    add column stall_count          bigint      not null default 0,
    add column stalled_ms           bigint      not null default 0,
    add column rebuffering_ratio    double precision,
    add column average_bitrate_kbps bigint,
    add column dropped_frames       bigint,
    add column fatal_error_code     text,
    add column exited_before_video  boolean     not null default false,
    add column ended_by             jsonb       not null default 'null',  -- who terminated it
    add column folded               jsonb       not null default '[[0, []]]';  -- what the next event is folded into

alter table playback_sessions no force row level security;  -- who migrates sees the rows, superuser or not
update playback_sessions set
    last_recorded_at = last_at,
    moved_at = last_at,
    folded = jsonb_build_array(jsonb_build_array(last_seq + 1, jsonb_build_array(state, exit_reason, ended_at)));
alter table playback_sessions force row level security;

alter table playback_sessions
    alter column last_recorded_at set not null,
    alter column moved_at set not null,
    alter column folded drop default,
    drop column state_seq,
    drop column ended_seq,
    drop column seen;
comment on column playback_sessions.state is
    'starting | playing | paused | buffering | ended | expired | terminated';
comment on column playback_sessions.exit_reason is 'completed | stopped | error | expired | terminated';
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
