"""What the scheduler will publish, and when."""

from infra.migrations.sql import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply it."""
    run_script("""
        create table catalog_schedule (
            title_id   text        primary key,
            series_id  text,                  -- of an episode: it is decided in the stream of its series
            publish_at timestamptz not null
        );
        create index catalog_schedule_due on catalog_schedule (publish_at, (series_id is not null), title_id);
    """)
