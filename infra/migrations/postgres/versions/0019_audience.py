"""How much titles are watched: by hour and country, how far by day, and by how many profiles by day.

Sessions that are there already are in none of these tables until the views are rebuilt.
"""

from infra.migrations.privileges import READER, grant
from infra.migrations.sql import run_script

revision = "0019"
down_revision = "0018"

PROJECTIONS = "playhead_projections"
WRITE = "select, insert, update, delete"
TABLES = ("title_audience_by_hour", "title_retention_by_day", "title_profiles_by_day")

# Rows change with every report of who watches: room for the next version on the same page, no index on what changes.
SCRIPT = """
create table title_audience_by_hour (
    key         text        primary key,
    title_id    text        not null,
    hour        timestamptz not null,  -- when it begins, UTC; of started_at
    territory   text,                  -- ISO 3166-1 alpha-2
    plays       bigint      not null,
    starts      bigint      not null,  -- a frame was seen
    watched_ms  bigint      not null,
    completions bigint      not null
) with (fillfactor = 70);
create index title_audience_by_hour_of_title on title_audience_by_hour (title_id, hour);
create index title_audience_by_hour_hour on title_audience_by_hour (hour);

create table title_retention_by_day (
    key       text        primary key,
    title_id  text        not null,
    day       timestamptz not null,  -- when it begins, UTC; of started_at
    starts    bigint      not null,
    retention jsonb       not null,  -- of each percent of the title: how many saw it
    drop_off  jsonb       not null   -- how many left in it
) with (fillfactor = 70);
create index title_retention_by_day_of_title on title_retention_by_day (title_id, day);

create table title_profiles_by_day (
    key       text        primary key,
    title_id  text        not null,
    day       timestamptz not null,
    starts    bigint      not null,
    registers bytea       not null  -- HyperLogLog, 2,048 of a byte
);
create index title_profiles_by_day_of_title on title_profiles_by_day (title_id, day);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(PROJECTIONS, dict.fromkeys(TABLES, WRITE))
    grant(READER, dict.fromkeys(TABLES, "select"))
