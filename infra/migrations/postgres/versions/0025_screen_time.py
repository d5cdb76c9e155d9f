"""How long each profile watches, by hour.

Sessions that are there already are not in it until the view `playback_sessions` is rebuilt.
"""

from infra.migrations.privileges import READER, grant, protect
from infra.migrations.sql import run_script

revision = "0025"
down_revision = "0024"

PROJECTIONS = "playhead_projections"

SCRIPT = """
create table profile_screen_time_by_hour (
    "key" text primary key,
    "account_id" text not null,
    "profile_id" text not null,
    "hour" timestamptz not null,
    "sessions" bigint not null,
    "minutes" bigint not null
) with (fillfactor = 70);
create index profile_screen_time_by_hour_of_account on profile_screen_time_by_hour (account_id, hour);
create index profile_screen_time_by_hour_hour on profile_screen_time_by_hour (hour);
"""


def upgrade() -> None:
    """Apply it."""
    run_script(SCRIPT)
    grant(PROJECTIONS, {"profile_screen_time_by_hour": "select, insert, update, delete"})
    grant(READER, {"profile_screen_time_by_hour": "select"})
    own = {"account_id": "account_id", "profile_id": "profile_id"}
    protect("profile_screen_time_by_hour", own=own, scopes=("playback:read",), writers=(PROJECTIONS,))
