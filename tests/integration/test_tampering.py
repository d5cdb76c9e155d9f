"""Tampering of every kind, in the log's rows, in Kafka and in the archive: each is found, and named."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from audits.verifying.attributing import attributed
from audits.verifying.checkpoints import Checkpoint, Head
from audits.verifying.findings import Finding, Kind, Store
from audits.verifying.of_log import repeated
from audits.verifying.tasks import State
from infra.archive.records import envelope_of
from infra.clock import utc_now
from infra.event_log import EventLog, LogRow
from infra.kafka import access
from infra.postgres import Connection, Pool, connect_pool
from infra.settings import Settings
from tests.integration.segments import change, segment_of
from tests.integration.tampering import (
    EACH,
    STREAMS,
    Message,
    archive_findings,
    archived,
    kafka_findings,
    log_findings,
    messages_of,
    on_kafka,
    produce,
    recorded,
    relayed,
)
from tests.servers import NativeServers, Servers

pytestmark = pytest.mark.integration

COUNT = STREAMS * EACH
AT = 12
REWRITE = """
do $$
declare
    row  record;
    last bytea := (select hash from event_log where partition = 0 and position = 11);
begin
    update event_log set body = convert_to(replace(convert_from(body, 'utf8'), '"Season"', '"Reason"'), 'utf8')
    where partition = 0 and position = 12;
    for row in select * from event_log where partition = 0 and position >= 12 order by position loop
        last := sha256(last || sha256(row.body) || int2send(0::smallint) || int8send(row.position));
        update event_log set digest = sha256(row.body), hash = last where partition = 0 and position = row.position;
    end loop;
    update partition_head set hash = last where partition = 0;
end $$
"""
"""An event changed, and all that is chained to it computed anew: nobody could do it better."""


@pytest.fixture(scope="module")
async def ours(live: Settings) -> AsyncIterator[Settings]:
    async with recorded(live) as settings:
        yield settings


@pytest.fixture(scope="module")
async def pool(ours: Settings) -> AsyncIterator[Pool]:
    pool = await connect_pool(ours)
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def rows(ours: Settings, pool: Pool) -> list[LogRow]:
    return await EventLog(pool, ours).read(0, after=0, limit=1_000)


@pytest.fixture(scope="module")
async def topic(ours: Settings, rows: list[LogRow]) -> AsyncIterator[str]:
    """Relayed as it should be."""
    async with relayed(ours, messages_of(rows)) as name:
        yield name


@asynccontextmanager
async def tampered(pool: Pool, *statements: str) -> AsyncIterator[Connection]:
    """A connection that sees rows changed, until it is over."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        for statement in statements:
            await connection.execute(statement)
        try:
            yield connection  # type: ignore[misc]  # the pool's proxy offers all of it
        finally:
            await transaction.rollback()


def told(found: list[Finding]) -> list[tuple[Kind, str, int | None]]:
    return [(finding.kind, finding.what, finding.position) for finding in found]


async def test_what_nobody_touched_is_whole_everywhere(ours: Settings, pool: Pool, topic: str, tmp_path: Path) -> None:
    archive = archived(ours, tmp_path, await on_kafka(ours, topic))
    assert await log_findings(ours, pool) == []
    assert await kafka_findings(ours, pool, archive, topic) == []
    assert await archive_findings(ours, pool, archive, topic) == []


IN_THE_LOG = {
    "a bit of a body": (
        "update event_log set body = set_byte(body, 40, get_byte(body, 40) # 1) where partition = 0 and position = 12",
        [(Kind.FLIPPED, "body", 12)],
    ),
    "a column": (
        "update event_log set type = 'catalog.SeasonRemoved.v1' where partition = 0 and position = 12",
        [(Kind.FLIPPED, "column type", 12)],
    ),
    "the stream, which is Kafka's key": (
        "update event_log set stream_id = 'catalog.series-other' where partition = 0 and position = 12",
        [(Kind.FLIPPED, "column stream_id", 12)],
    ),
    "an event taken out": (
        "delete from event_log where partition = 0 and position = 12",
        [(Kind.REMOVED, "events", 12)],
    ),
    "an event taken out and those after it counted anew": (
        """delete from event_log where partition = 0 and position = 12;
           update event_log set position = position - 1000 where partition = 0 and position > 12;
           update event_log set position = position + 999 where partition = 0 and position < 0;
           update partition_head set position = position - 1 where partition = 0""",
        [(Kind.REMOVED, "event", 12)],
    ),
    "an event put in": (
        """update event_log set position = position - 1000 where partition = 0 and position >= 12;
           update event_log set position = position + 1001 where partition = 0 and position < 0;
           insert into event_log select partition, 12, gen_random_uuid(), 'catalog.series-forged', 1, type, recorded_at,
                  body, digest, hash from event_log where partition = 0 and position = 11;
           update partition_head set position = position + 1 where partition = 0""",
        [(Kind.INSERTED, "event", 12)],
    ),
    "two events swapped": (
        """update event_log set position = -1 where partition = 0 and position = 12;
           update event_log set position = 12 where partition = 0 and position = 20;
           update event_log set position = 20 where partition = 0 and position = -1""",
        [(Kind.SWAPPED, "events", 12)],
    ),
    "the end cut off": (
        "delete from event_log where partition = 0 and position > 30",
        [(Kind.TRUNCATED, "events", 31)],
    ),
    "an event behind the end": (
        f"""insert into event_log select partition, {COUNT + 1}, gen_random_uuid(), 'catalog.series-forged', 1, type,
            recorded_at, body, digest, hash from event_log where partition = 0 and position = 11""",
        [(Kind.INSERTED, "events after the head", COUNT + 1)],
    ),
    "the head": (
        "update partition_head set hash = sha256('x') where partition = 0",
        [(Kind.FLIPPED, "head", COUNT)],
    ),
}


@pytest.mark.parametrize("what", IN_THE_LOG)
async def test_in_the_log_it_is_found_and_named(ours: Settings, pool: Pool, what: str) -> None:
    statements, expected = IN_THE_LOG[what]
    async with tampered(pool, statements) as connection:
        found = await log_findings(ours, connection)
    assert [each for each in told(found) if not each[1].startswith("version of")] == expected


async def test_a_log_that_was_chained_anew_is_not_what_a_checkpoint_signed(
    ours: Settings, pool: Pool, rows: list[LogRow], topic: str, tmp_path: Path
) -> None:
    heads = tuple(Head(0, row.position, row.hash.hex()) for row in (rows[9], rows[19]))
    signed = [
        Checkpoint(number=number, at=utc_now(), previous=None, ranges=(), heads=(head,), ends=())
        for number, head in enumerate(heads, 1)
    ]
    archive = archived(ours, tmp_path, await on_kafka(ours, topic))
    async with tampered(pool, REWRITE) as connection:
        assert await log_findings(ours, connection) == []
        (found,) = await log_findings(ours, connection, signed)
        beside = await kafka_findings(ours, connection, archive, topic)
        beside += await archive_findings(ours, connection, archive, topic)
    assert (found.kind, found.position, found.last) == (Kind.REWRITTEN, 11, 20)
    assert found.expected == rows[19].hash.hex()
    (named,) = attributed(beside)
    assert (named.kind, named.store, named.position) == (Kind.REWRITTEN, Store.LOG, AT)
    assert await log_findings(ours, pool, signed) == []


async def test_a_log_that_is_shorter_than_a_checkpoint_says_is_truncated(
    ours: Settings, pool: Pool, rows: list[LogRow]
) -> None:
    head = Head(0, COUNT, rows[-1].hash.hex())
    signed = [Checkpoint(number=1, at=utc_now(), previous=None, ranges=(), heads=(head,), ends=())]
    cut = "delete from event_log where partition = 0 and position > 30"
    also = """update partition_head set position = 30, hash = (
        select hash from event_log where partition = 0 and position = 30) where partition = 0"""
    async with tampered(pool, cut, also) as connection:
        assert await log_findings(ours, connection) == []
        (found,) = await log_findings(ours, connection, signed)
    assert (found.kind, found.position, found.last) == (Kind.TRUNCATED, 31, COUNT)


async def test_a_run_goes_on_from_the_row_that_it_was_at_if_that_is_still_the_same(
    ours: Settings, pool: Pool, rows: list[LogRow]
) -> None:
    state: State = {"position": 20, "hash": rows[19].hash.hex(), "shift": 0}
    flip = "update event_log set body = body || ' '::bytea where partition = 0 and position in (5, 25)"
    async with tampered(pool, flip) as connection:
        assert [each.position for each in await log_findings(ours, connection, state=state)] == [25]
        other: State = {**state, "hash": rows[18].hash.hex()}
        assert [each.position for each in await log_findings(ours, connection, state=other)] == [5, 25]


async def test_versions_and_ids_that_are_there_twice_are_named(ours: Settings, pool: Pool) -> None:
    loosened = (
        "alter table event_log drop constraint event_log_event_id_key, drop constraint event_log_stream_id_version_key"
    )
    twice = (
        "update event_log set event_id = (select event_id from event_log where partition = 0 and position = 3), "
        "stream_id = (select stream_id from event_log where partition = 0 and position = 3) "
        "where partition = 0 and position = 7"
    )
    async with tampered(pool, loosened, twice) as connection:
        (named,) = await repeated(connection, ours)  # type: ignore[arg-type]  # a connection reads alike
        found = await log_findings(ours, connection)
    assert (named.kind, named.what, named.position, named.found) == (Kind.REPEATED, "event id", 3, "2 events")
    assert (Kind.FLIPPED, "column event_id", 7) in told(found)


def _flipped(messages: list[Message]) -> list[Message]:
    value = bytearray(messages[AT].value)
    value[40] ^= 1
    return [*messages[:AT], messages[AT]._replace(value=bytes(value)), *messages[AT + 1 :]]


def _swapped(messages: list[Message]) -> list[Message]:
    return [*messages[:AT], messages[AT + 1], messages[AT], *messages[AT + 2 :]]


IN_KAFKA: dict[str, tuple[Callable[[list[Message]], list[Message]], tuple[Kind, str, int | None]]] = {
    "a bit of a value": (_flipped, (Kind.FLIPPED, "value", AT + 1)),
    "a key": (
        lambda messages: [*messages[:AT], messages[AT]._replace(key=b"catalog.series-x"), *messages[AT + 1 :]],
        (Kind.FLIPPED, "key", AT + 1),
    ),
    "a record left out": (
        lambda messages: messages[:AT] + messages[AT + 1 :],
        (Kind.REMOVED, "records of the log", AT + 1),
    ),
    "a record put in": (
        lambda messages: [*messages[:AT], messages[3]._replace(position=999), *messages[AT:]],
        (Kind.INSERTED, "record", 999),
    ),
    "a record without a position": (
        lambda messages: [*messages[:AT], messages[3]._replace(position=None), *messages[AT:]],
        (Kind.INSERTED, "record without a position", None),
    ),
    "two records swapped": (_swapped, (Kind.SWAPPED, "order of records", AT + 1)),
    "the end cut off": (lambda messages: messages[:30], (Kind.TRUNCATED, "records of the log", 31)),
}


@pytest.mark.parametrize("what", IN_KAFKA)
async def test_in_kafka_it_is_found_and_named(
    ours: Settings, pool: Pool, rows: list[LogRow], tmp_path: Path, what: str
) -> None:
    tamper, expected = IN_KAFKA[what]
    async with relayed(ours, tamper(messages_of(rows))) as topic:
        found = await kafka_findings(ours, pool, archived(ours, tmp_path, []), topic)
    assert told(found) == [expected]


@pytest.mark.parametrize("checksum", [True, False])
async def test_bits_flipped_in_kafkas_own_files_are_found_with_a_checksum_that_fits_or_without(
    ours: Settings, pool: Pool, rows: list[LogRow], tmp_path: Path, servers: Servers, checksum: bool
) -> None:
    if not isinstance(servers, NativeServers):
        pytest.skip("where Kafka keeps its files is not known here")
    async with relayed(ours, messages_of(rows)) as topic:
        name = b'"id":"%s"' % str(envelope_of(rows[AT].body).id).encode()
        season = (b'"name":"Season"', b'"name":"Reason"')
        change(segment_of(servers.kafka_data, topic), name, lambda batch: batch.replace(*season), checksum=checksum)
        found = await kafka_findings(ours, pool, archived(ours, tmp_path, []), topic)
    damaged = (Kind.FLIPPED, "batch of records, which cannot be read", None)
    expected = (
        [(Kind.FLIPPED, "value", AT + 1)] if checksum else [damaged, (Kind.REMOVED, "records of the log", AT + 1)]
    )
    assert told(found) == expected
    assert found[0].offset == AT


async def test_what_was_deleted_from_kafka_before_the_archive_had_it_is_named(
    ours: Settings, pool: Pool, rows: list[LogRow], tmp_path: Path
) -> None:
    async with relayed(ours, messages_of(rows)) as topic:
        messages = await on_kafka(ours, topic)
        administrator = AIOKafkaAdminClient(**access(ours))
        await administrator.start()
        await administrator.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=15)})
        await administrator.close()
        in_time = archived(ours, tmp_path / "in time", messages[:20])
        assert await kafka_findings(ours, pool, in_time, topic) == []
        late = archived(ours, tmp_path / "late", messages[:10])
        (found,) = await kafka_findings(ours, pool, late, topic)
    assert (found.kind, found.offset, found.last) == (Kind.REMOVED, 10, 14)


async def test_what_kafka_lost_that_the_archive_has_and_what_it_holds_otherwise_is_named(
    ours: Settings, pool: Pool, rows: list[LogRow], topic: str, tmp_path: Path
) -> None:
    messages = await on_kafka(ours, topic)
    async with relayed(ours, _flipped(messages_of(rows))[:30]) as other:
        found = await kafka_findings(ours, pool, archived(ours, tmp_path, messages, topic=other), other)
    said = {(each.kind, each.what, each.offset) for each in found}
    assert (Kind.TRUNCATED, "records", 30) in said
    assert (Kind.FLIPPED, "value, beside the archive", AT) in said
    assert (Kind.FLIPPED, "value", AT) in said


async def test_in_the_archive_what_is_not_the_logs_is_named(
    ours: Settings, pool: Pool, rows: list[LogRow], topic: str, tmp_path: Path
) -> None:
    for number, (what, (tamper, (kind, _, position))) in enumerate(IN_KAFKA.items()):
        if what == "the end cut off":
            continue  # the archive may be behind: what checkpoints signed tells it, or Kafka's first offset
        async with relayed(ours, tamper(messages_of(rows))) as other:
            archive = archived(ours, tmp_path / str(number), await on_kafka(ours, other))
            found = await archive_findings(ours, pool, archive, other)
        assert [(each.kind, each.position) for each in found] == [(kind, position)], what


async def test_an_archive_that_was_rewritten_with_its_digests_is_told_from_kafka(
    ours: Settings, pool: Pool, rows: list[LogRow], tmp_path: Path
) -> None:
    async with relayed(ours, messages_of(rows)) as topic:
        messages = await on_kafka(ours, topic)
        messages[AT] = replace(messages[AT], value=_flipped(messages_of(rows))[AT].value)
        archive = archived(ours, tmp_path, messages)
        found = await archive_findings(ours, pool, archive, topic)
        found += await kafka_findings(ours, pool, archive, topic)
    assert {each.store for each in attributed(found)} == {Store.ARCHIVE}


async def test_after_more_is_recorded_and_relayed_all_is_whole(
    ours: Settings, pool: Pool, rows: list[LogRow], tmp_path: Path
) -> None:
    async with relayed(ours, messages_of(rows)[:20]) as topic:
        await produce(ours, topic, messages_of(rows)[15:])  # a relay that was killed repeats some
        archive = archived(ours, tmp_path, await on_kafka(ours, topic))
        assert await kafka_findings(ours, pool, archive, topic) == []
        assert await archive_findings(ours, pool, archive, topic) == []
