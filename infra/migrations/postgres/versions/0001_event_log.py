"""The event log: gapless, hash-chained partitions, and the idempotency rows that are committed with them."""

from infra.migrations.sql import run_script

revision = "0001"
down_revision = None

TABLES = """
create table event_log (
    partition   smallint    not null,
    position    bigint      not null,
    event_id    uuid        not null unique,
    stream_id   text        not null,
    version     int         not null,
    type        text        not null,
    recorded_at timestamptz not null,
    body        bytea       not null,
    digest      bytea       not null,
    hash        bytea       not null,
    primary key (partition, position),
    unique (stream_id, version)
);
-- Compressing twice costs and gains nothing: bodies are read back far more often than written.
alter table event_log alter column body set storage external;

create table partition_head (
    partition smallint primary key,
    position  bigint   not null,
    hash      bytea    not null
) with (fillfactor = 50);

create table idempotency (
    key            text        primary key,
    request_digest bytea       not null,
    reply          bytea       not null,
    created_at     timestamptz not null
);
create index idempotency_created_at on idempotency (created_at);

-- Which relay may produce a partition, and how far Kafka has acknowledged it. Rows are updated often: leave room.
create table relay_lease (
    partition  smallint    primary key,
    owner      text,
    expires_at timestamptz not null default '-infinity',
    position   bigint      not null default 0
) with (fillfactor = 50);

-- The relays that live, so that each knows its fair share of the partitions.
create table relay_member (
    owner      text        primary key,
    expires_at timestamptz not null
);
"""

# One round trip, and the head's row lock is taken last and held to commit: whoever reads the log in position order can
# never see a later position commit before an earlier one.
APPEND = """
create function append_events(
    in_partition smallint, in_stream_id text, in_expected_version int, in_event_ids uuid[], in_types text[],
    in_recorded_at timestamptz, in_bodies bytea[]
) returns bigint language plpgsql as $$
declare
    at_position bigint;
    last_hash   bytea;
    body_digest bytea;
begin
    select head.position, head.hash into strict at_position, last_hash
    from partition_head as head where head.partition = in_partition for update;
    for i in 1 .. cardinality(in_event_ids) loop
        at_position := at_position + 1;
        body_digest := sha256(in_bodies[i]);
        last_hash := sha256(last_hash || body_digest || int2send(in_partition) || int8send(at_position));
        insert into event_log values (
            in_partition, at_position, in_event_ids[i], in_stream_id, in_expected_version + i, in_types[i],
            in_recorded_at, in_bodies[i], body_digest, last_hash
        );
    end loop;
    update partition_head as head set position = at_position, hash = last_hash where head.partition = in_partition;
    return at_position;
end $$;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(TABLES)
    run_script(APPEND)
