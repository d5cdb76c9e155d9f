"""How often titles are started by day and country, beside what there is by hour: a week is a few rows.

Sessions that are there already are not in it until the view `playback_sessions` is rebuilt.
"""

from infra.migrations.privileges import READER, grant
from infra.migrations.sql import run_script

revision = "0022"
down_revision = "0021"

SCRIPT = """
create table title_starts_by_day (
    key       text        primary key,
    title_id  text        not null,
    day       timestamptz not null,  -- when it begins, UTC; of started_at
    territory text,                  -- ISO 3166-1 alpha-2
    starts    bigint      not null
) with (fillfactor = 70);
create index title_starts_by_day_of_title on title_starts_by_day (title_id, day);
create index title_starts_by_day_day on title_starts_by_day (day);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant("playhead_projections", {"title_starts_by_day": "select, insert, update, delete"})
    grant(READER, {"title_starts_by_day": "select"})
