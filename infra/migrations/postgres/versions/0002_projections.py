"""What every Postgres projection shares: its checkpoint, and the dead letters of all stores."""

from infra.migrations.sql import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Apply it."""
    run_script("""
        -- next_offset: Kafka's; position: the same place in the topic's own numbering (the event log's, when relayed).
        create table projection_checkpoint (
            projection  text        not null,
            topic       text        not null,
            partition   int         not null,
            next_offset bigint      not null,
            position    bigint      not null,
            updated_at  timestamptz not null default now(),
            primary key (projection, topic, partition)
        ) with (fillfactor = 50);

        create table dead_letters (
            letter_id   text        primary key,  -- projection/topic/partition/offset
            projection  text        not null,
            topic       text        not null,
            partition   int         not null,
            "offset"    bigint      not null,
            reason      text        not null,
            detail      text        not null,
            body        bytea       not null,
            recorded_at timestamptz not null
        );
    """)
