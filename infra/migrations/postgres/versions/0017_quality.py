"""Quality of experience by the minute and the hour that sessions started in: sums of playback_sessions."""

from infra.migrations.privileges import READER, grant
from infra.migrations.sql import run_script

revision = "0017"
down_revision = "0016"

PROJECTIONS = "playhead_projections"

PLACE = """
    key         text        primary key,
    begins_at   timestamptz not null,
    title_id    text        not null,  -- what is unknown is ''
    device_type text        not null,
    platform    text        not null,
    cdn         text        not null,
    cdn_edge    text        not null,
    app_version text        not null,
    country     text        not null,
"""
SUMS = """
    plays              bigint not null,
    starts             bigint not null,
    exits_before_video bigint not null,
    start_failures     bigint not null,
    playback_failures  bigint not null,
    startups           bigint not null,
    startup_ms         bigint not null,
    playing_ms         bigint not null,
    watched_ms         bigint not null,
    stalled_ms         bigint not null,
    stall_count        bigint not null,
    stalled_plays      bigint not null,
    bits               bigint not null,  -- kbps x ms
    bitrate_ms         bigint not null,
    dropped_frames     bigint not null,
    error_count        bigint not null
"""
COUNTS = """
    counted     text   not null,  -- startup | error
    label       text   not null,  -- the bucket of a startup (infra/log_buckets.py), the code of an error
    occurrences bigint not null
"""


def upgrade() -> None:
    """Apply it. What reports change is in no index, so that it is changed in place (HOT)."""
    for interval in ("minute", "hour"):
        for table, columns in ((f"quality_by_{interval}", SUMS), (f"quality_counts_by_{interval}", COUNTS)):
            run_script(f"""
                create table {table} ({PLACE}{columns}) with (fillfactor = 70);
                create index {table}_begins on {table} (begins_at);
                create index {table}_of_title on {table} (title_id, begins_at);
            """)
            grant(PROJECTIONS, {table: "select, insert, update, delete"})
            grant(READER, {table: "select"})
