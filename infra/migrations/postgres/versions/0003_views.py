"""The first views in Postgres: playback sessions and the catalog's titles."""

from infra.migrations.sql import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply it."""
    run_script("""
        -- Every report updates its session's row: room on the page, and no index on what changes, keep that update
        -- in place (HOT).
        create table playback_sessions (
            session_id     text        primary key,
            account_id     text        not null,
            profile_id     text        not null,
            title_id       text        not null,
            title_name     text        not null,
            title_kind     text        not null,
            series_id      text,
            season_number  bigint,
            episode_number bigint,
            device_id      text        not null,
            device_type    text        not null,
            state          text        not null,  -- starting | playing | paused | buffering | ended
            state_seq      bigint      not null,  -- the report that the state is taken from
            started_at     timestamptz not null,
            last_at        timestamptz not null,  -- of the report with the highest seq, corrected
            last_seq       bigint      not null,  -- -1: granted, no report yet
            position_ms    bigint      not null,
            duration_ms    bigint      not null,
            event_count    bigint      not null,  -- distinct events, PlaybackStarted included
            seen           text        not null,  -- ranges of seq that event_count holds, such as "-1..41,43"
            error_count    bigint      not null,
            startup_ms     bigint,
            ended_at       timestamptz,
            ended_seq      bigint,
            end_reason     text
        ) with (fillfactor = 70);

        create table catalog_titles (
            title_id         text        primary key,  -- a series has its series_id here
            kind             text        not null,     -- movie | series | episode
            name             text        not null,
            synopsis         text        not null,
            duration_ms      bigint,
            credits_start_ms bigint,
            maturity_system  text        not null,
            maturity_value   text        not null,
            minimum_age      bigint      not null,
            availability     jsonb       not null,
            series_id        text,
            series_name      text,
            season_number    bigint,
            episode_number   bigint,
            seasons          jsonb       not null,     -- of a series: [{number, name}]
            published_at     timestamptz not null
        );
        create index catalog_titles_published_at on catalog_titles (published_at desc, title_id desc);
        create index catalog_titles_episodes on catalog_titles (series_id, season_number, episode_number);
    """)
