"""Streams opened in one round trip, snapshots of the long ones, and replies remembered with what they answer."""

from infra.migrations.sql import run_script

revision = "0004"
down_revision = "0003"

TABLES = """
create table stream_snapshot (
    stream_id text        primary key,
    version   int         not null,
    place     text        not null,  -- the position token of the event of that version
    digest    bytea       not null,  -- of the state's shape and of the code that made it
    state     bytea       not null
);
alter table stream_snapshot alter column state set storage external;

alter table idempotency add column place text not null default '';
"""

# The stream's lock first, in a statement of its own: what follows sees all that its last holder committed.
OPEN = """
create function open_stream(in_stream_id text, in_key text, in_snapshot_digest bytea)
returns table (kind text, version int, place text, body bytea, digest bytea) language plpgsql as $$
declare
    from_version int := 0;
begin
    perform pg_advisory_xact_lock(hashtextextended(in_stream_id, 0));
    if in_key is not null then
        return query select 'reply', null::int, known.place, known.reply, known.request_digest
                     from idempotency as known where known.key = in_key;
        if found then return; end if;
    end if;
    select snapshot.version into from_version from stream_snapshot as snapshot
    where snapshot.stream_id = in_stream_id and snapshot.digest = in_snapshot_digest;
    return query select 'snapshot', snapshot.version, snapshot.place, snapshot.state, snapshot.digest
                 from stream_snapshot as snapshot
                 where snapshot.stream_id = in_stream_id and snapshot.digest = in_snapshot_digest;
    return query select 'event', event.version, event.position::text, event.body, event.digest
                 from event_log as event
                 where event.stream_id = in_stream_id and event.version > coalesce(from_version, 0)
                 order by event.version;
end $$;
"""

# append_events() of 0001, and the reply to the request is remembered with the place that the append got.
APPEND = """
create function append_and_remember(
    in_partition smallint, in_stream_id text, in_expected_version int, in_event_ids uuid[], in_types text[],
    in_recorded_at timestamptz, in_bodies bytea[], in_topic text, in_key text, in_request_digest bytea, in_reply bytea
) returns bigint language plpgsql as $$
declare
    at_position bigint;
begin
    insert into idempotency values (in_key, in_request_digest, in_reply, in_recorded_at);
    at_position := append_events(
        in_partition, in_stream_id, in_expected_version, in_event_ids, in_types, in_recorded_at, in_bodies
    );
    update idempotency set place = in_topic || ':' || in_partition || ':' || at_position where key = in_key;
    return at_position;
end $$;
"""


def upgrade() -> None:
    """Apply it."""
    run_script(TABLES)
    run_script(OPEN)
    run_script(APPEND)
