"""The drill: an installation of all contexts is backed up, its servers are emptied, and it comes back from the backup
with every view equal, in servers of its own; then Kafka gives up its beginning, and views are built from the archive.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from msgspec import structs

from audits.backups import making, manifest, restoring
from audits.backups.checking import UNRELAYED, all_applied
from audits.backups.manifest import BackupRefused
from audits.backups.showing import nobody
from audits.backups.tables import KEPT, unclassified
from audits.backups.topics import NAMES, looking
from audits.backups.views import names_of_tables, views_of
from audits.verifying import checkpointing
from commands.handling import Handling
from commands.identity import commands as c
from events import playback as p
from events.envelope import Envelope, Event, encode
from events.topics import CATALOG, OPERATIONS, PLAYBACK, dead_letters_of
from infra.archive.store import Archive
from infra.cassandra import Cassandra
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.event_log.partitions import partition_of
from infra.ids import new_uuid
from infra.kafka import new_producer
from infra.local import LocalServers
from infra.migrate import migrate
from infra.personal_data import MasterKey
from infra.postgres import Pool, connect, connect_pool
from infra.redis import connect as connect_redis
from infra.relay import Relay
from infra.settings import Settings, load_settings
from playhead.audit_verifying import Wanted, run_verify
from playhead.backup_work import back_up, bring_back, compare
from playhead.filling_views import filling_views
from projections.versions import anywhere
from projections.versions.build import Build
from projections.versions.groups import grouped
from projections.versions.in_cassandra import CassandraHome
from projections.versions.in_redis import RedisHome
from projections.versions.registry import VersionRefused
from projections.versions.verify import comparable
from tests.builders import (
    cmcd_reported,
    continue_watching_hidden,
    movie_published,
    reported,
    season_added,
    series_published,
    session,
    title_revised,
    title_withdrawn,
)
from tests.integration.identity_stack import Household, live_a_life, register
from tests.integration.projection_workers import PATIENCE_S, PlayheadProcess, evening, eventually, produce
from tests.projections.subscription import histories
from tests.servers import STATE_ROOT

pytestmark = pytest.mark.integration

CATALOG_EVENTS = [
    movie_published("heat"),
    title_revised(movie_published("heat"), genres=("drama",)),
    series_published("harbour"),
    season_added(1),
    movie_published("psycho"),
    title_withdrawn(movie_published("psycho")),
]
GIVEN_UP = (PLAYBACK.name, CATALOG.name)
LOST = TopicPartition(dead_letters_of(OPERATIONS.name), 0)
EMPTY = {
    *("postgres/catalog_schedule", "postgres/identity_api_keys", "postgres/identity_devices"),
    *("postgres/operations_dead_letter_decisions", "postgres/operations_staff_actions"),
    *("postgres/quality_counts_by_hour", "postgres/quality_counts_by_minute", "cassandra/watch_history_removed"),
}
"""The views of which no row is left of what happens here."""
Rows = Mapping[str, Sequence[Any]]


@dataclass
class Installation:
    """What was there before the servers were emptied. `erased_before`, `erased_after`, `kept`: accounts, by when their
    person was erased, seen from the backup. `views`: rows by view; `records`: of Kafka, by partition.
    """

    settings: Settings
    backup: Path
    erased_before: str
    erased_after: str
    kept: str
    address: str
    views: Rows
    records: Mapping[Any, Sequence[Any]]
    tables: Rows


@pytest.fixture(scope="module")
def local() -> Iterator[LocalServers]:
    ours = load_settings()
    servers = LocalServers(STATE_ROOT / f"test-{psutil.Process().pid}-drill", ours.cache_dir, java_home=ours.java_home)
    try:
        yield servers
    finally:
        servers.erase()


@pytest.fixture(scope="module")
def ours(local: LocalServers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the installation, with few partitions."""
    at = local.up(lambda _: None)
    state = tmp_path_factory.mktemp("drill")
    (state / "logs").mkdir()
    return Settings(
        state_dir=state,
        kafka_bootstrap=at.kafka_bootstrap,
        postgres_dsn=at.postgres_dsn,
        cassandra_host=at.cassandra_host,
        cassandra_port=at.cassandra_port,
        redis_url=at.redis_url,
        log_partitions=2,
        playback_partitions=2,
        rebuild_pause_lag_records=10**9,
        backup_poll_s=0.1,
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Pool]:
    pool = await connect_pool(settings)
    try:
        yield pool
    finally:
        await pool.close()


async def append(pool: Pool, settings: Settings, events: Sequence[Envelope[Event]]) -> None:
    """Have events in the log, each the next of its stream."""
    for event in events:
        stream = event.partitionkey
        version = await pool.fetchval("select coalesce(max(version), 0) from event_log where stream_id = $1", stream)
        event_id, now = new_uuid(), utc_now()
        body = encode(structs.replace(event, id=str(event_id), sequence=version + 1, recordedtime=now))
        values = (partition_of(stream, settings.log_partitions), stream, version, [event_id], [event.type], now, [body])
        await pool.fetchval("select append_events($1, $2, $3, $4, $5, $6, $7)", *values)


async def applied(settings: Settings) -> None:
    """Run the relay and the projections until all is in every view."""
    connection = await connect(settings)
    try:
        async with looking(settings) as topics:
            counts = await topics.partitions()
        with filling_views(settings):
            await all_applied(settings, connection, counts, nobody)
    finally:
        await connection.close()


async def relayed(pool: Pool, settings: Settings) -> None:
    """Have Kafka have what the log has."""
    relay = Relay(pool, settings)
    running = asyncio.create_task(relay.run())

    async def has_all() -> bool:
        return bool(await pool.fetchval(UNRELAYED) == 0)

    await eventually(has_all)
    relay.stop()
    await running


async def lose_dead_letters(settings: Settings) -> None:
    """Have Kafka, whose dead letters pass, begin with the third of a topic's."""
    producer = new_producer(settings)
    await producer.start()
    for _ in range(3):
        await producer.send_and_wait(LOST.topic, b"not a letter", partition=LOST.partition)
    await producer.stop()
    await delete_before(settings, {LOST: 2})


async def delete_before(settings: Settings, offsets: Mapping[TopicPartition, int]) -> None:
    """Have Kafka give up what is before these."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(offset) for place, offset in offsets.items()})
    await admin.close()


async def filled(settings: Settings) -> list[Household]:
    """An installation to which something has happened in every context, and all of it is in the views."""
    await migrate(settings, lambda _: None)
    async with opened(settings) as pool:
        households = [await register(pool, settings, f"{name}@example.com") for name in ("ann", "bo", "cy")]
        await asyncio.gather(*(live_a_life(each, 1) for each in households))
        await households[0].has(c.WithdrawAccount())
        await append(pool, settings, [*CATALOG_EVENTS, *histories.HISTORY])
        await pool.execute("insert into identity_mail (sealed, due_at, created_at) values ('mail', now(), now())")
    shown = session("drill-9", profile_id="drill-profile-9")
    events = [*evening("drill", sessions=6, reports=8), cmcd_reported(of=shown), reported(p.Heartbeat, 1, of=shown)]
    await lose_dead_letters(settings)
    hidden = continue_watching_hidden(at=utc_now())
    await produce(settings, [*events, hidden, b"poison", b"{}"])
    await applied(settings)
    return households


async def signed(settings: Settings) -> None:
    """Take a checkpoint."""
    async with opened(settings) as pool:
        assert await checkpointing.take(settings, Archive.open(settings), pool) is not None


async def rows_of_views(settings: Settings) -> Rows:
    """Every row of every view, as comparable values, in order."""
    found: dict[str, Sequence[Any]] = {}
    async with opened(settings) as pool:
        for view in views_of(settings, "postgres"):
            columns = ", ".join(f'"{column}"' for column in comparable(view))
            rows = await pool.fetch(f"select row({columns})::text as it from {view.name} order by 1")
            found[f"postgres/{view.name}"] = [row["it"] for row in rows]
    for store, home in (("redis", RedisHome(settings)), ("cassandra", CassandraHome(settings))):
        async with home:
            for group in grouped(views_of(settings, store), store).values():
                live = await home.live(group.name)
                pairs = [pair async for page in home.rows(group, live.version) for pair in page]
                found[f"{store}/{group.name}"] = sorted((str(pair.key), pair.live) for pair in pairs)
    return found


async def rows_of_tables(settings: Settings) -> Rows:
    """Every row of what a backup keeps."""
    async with opened(settings) as pool:
        return {
            table: [row["it"] for row in await pool.fetch(f"select {table}::text as it from {table} order by 1")]
            for table in KEPT
        }


async def records_in_kafka(settings: Settings) -> dict[Any, list[Any]]:
    """Every record, with all that it has."""
    async with looking(settings) as topics:
        bounds = await topics.bounds()
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="none")
    await consumer.start()
    found: dict[Any, list[Any]] = {}
    try:
        for place, (first, end) in bounds.items():
            consumer.assign([place])
            consumer.seek(place, first)
            found[place] = []
            while len(found[place]) < end - first:
                found[place] += [
                    (each.offset, each.timestamp, each.key, each.value, each.headers)
                    for each in (await consumer.getmany(place, timeout_ms=1_000)).get(place, ())
                ]
    finally:
        await consumer.stop()
    return found


async def emptied(settings: Settings) -> None:
    """The servers, as if they were new."""
    database = urlsplit(settings.postgres_dsn).path.strip("/")
    administrator = await asyncpg.connect(settings.postgres_dsn, database="postgres")
    await administrator.execute(f"drop database {database} with (force)")
    await administrator.execute(f"create database {database}")
    await administrator.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_topics([name for name in NAMES if name in await admin.list_topics()])

    async def gone() -> bool:
        return not set(NAMES) & set(await admin.list_topics())

    await eventually(gone)
    await admin.close()
    patient = settings.model_copy(update={"query_timeout_s": PATIENCE_S})
    cassandra = await Cassandra.connect(patient, keyspace="")
    await cassandra.execute(f"drop keyspace {settings.cassandra_keyspace}")
    await cassandra.close()
    redis = connect_redis(settings)
    await redis.flushdb()
    await redis.aclose()


@pytest.fixture(scope="module")
async def before(ours: Settings, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The installation, backed up; then somebody is erased, and the archive hears of it."""
    directory = tmp_path_factory.mktemp("backups")
    first, second, third = await filled(ours)
    await making.bring_up_to_date(ours, Archive.open(ours))
    await signed(ours)
    assert await asyncio.to_thread(back_up, ours, directory / "kept", with_archive=False) is None
    views, records, tables = await rows_of_views(ours), await records_in_kafka(ours), await rows_of_tables(ours)
    async with opened(ours) as pool:
        await replace(second, handling=Handling(EventLog(pool, ours), utc_now)).has(c.WithdrawAccount())
        await relayed(pool, ours)
        await making.make(ours, directory / "later", with_archive=True)
        await signed(ours)
        address = await pool.fetchval("select email from identity_accounts where account_id = $1", third.account_id)
    return Installation(
        settings=ours,
        backup=directory / "kept",
        erased_before=first.account_id,
        erased_after=second.account_id,
        kept=third.account_id,
        address=address,
        views=views,
        records=records,
        tables=tables,
    )


@dataclass
class Restored:
    """What there is after the restore, once every view was made again."""

    settings: Settings
    views: Rows
    records: Mapping[Any, Sequence[Any]]
    tables: Rows


@pytest.fixture(scope="module")
async def after(before: Installation) -> Restored:
    """The installation, restored: its servers were emptied, its keys were kept, its archive goes on elsewhere."""
    old = before.settings
    await emptied(old)
    new = old.model_copy(update={"archive_url": (old.state_dir / "archive-2").as_uri()})
    assert await asyncio.to_thread(bring_back, new, before.backup, old.archive_location) is None
    assert await asyncio.to_thread(compare, new, before.backup, old.archive_location) is None
    return Restored(new, await rows_of_views(new), await records_in_kafka(new), await rows_of_tables(new))


@pytest.fixture(scope="module")
async def cut(after: Restored) -> Settings:
    """The same, with an archive that has all, and a Kafka that gave up all but the last records of two topics."""
    settings = after.settings
    await making.bring_up_to_date(settings, Archive.open(settings))
    async with looking(settings) as topics:
        bounds = await topics.bounds()
    cut_off = {place: end - 1 for place, (_, end) in bounds.items() if place.topic in GIVEN_UP and end > 1}
    await delete_before(settings, cut_off)
    return settings


async def test_nobody_forgot_to_say_what_a_backup_does_with_a_table(before: Installation) -> None:
    async with opened(before.settings) as pool:
        tables = [row[0] for row in await pool.fetch("select tablename from pg_tables where schemaname = 'public'")]
    assert unclassified(tables, names_of_tables(before.settings)) == []


async def test_an_archive_that_goes_on_after_the_backup_is_not_written_on(before: Installation) -> None:
    with pytest.raises(BackupRefused, match="set PLAYHEAD_ARCHIVE_URL to a new place"):
        await restoring.restore(before.settings, before.backup)


async def test_servers_that_are_not_empty_are_left_alone(before: Installation, tmp_path: Path) -> None:
    elsewhere = before.settings.model_copy(update={"archive_url": tmp_path.as_uri()})
    with pytest.raises(BackupRefused, match="Postgres is not empty"):
        await restoring.restore(elsewhere, before.backup, archive_url=before.settings.archive_location)


async def test_other_master_keys_are_refused_and_none_is_made(before: Installation, tmp_path: Path) -> None:
    others = before.settings.model_copy(update={"keys_dir": tmp_path / "keys", "archive_url": tmp_path.as_uri()})
    with pytest.raises(BackupRefused, match="are not those of this backup"):
        await restoring.restore(others, before.backup, archive_url=before.settings.archive_location)
    assert not (tmp_path / "keys").exists()


async def test_a_backup_is_not_made_where_the_keys_are_not(before: Installation, tmp_path: Path) -> None:
    elsewhere = before.settings.model_copy(update={"keys_dir": tmp_path / "keys"})
    with pytest.raises(BackupRefused, match="has no master keys, and there are persons"):
        await making.make(elsewhere, tmp_path / "backup")
    assert not (tmp_path / "keys").exists() and not (tmp_path / "backup").exists()


async def test_a_backup_may_hold_its_archive(before: Installation) -> None:
    later = before.backup.with_name("later")
    backup = manifest.read(later)
    manifest.check(later, backup)
    archive = restoring.source_of(before.settings, later, backup, None)
    assert [archive.end(part.topic, part.partition) for part in backup.archive] == [part.end for part in backup.archive]
    assert sum(len(list(archive.records(part.topic, part.partition, first=0))) for part in backup.archive) > 100


async def test_every_row_of_every_view_is_what_it_was(before: Installation, after: Restored) -> None:
    assert [view for view, rows in after.views.items() if rows != before.views[view]] == []
    assert {view for view, rows in after.views.items() if not rows} <= EMPTY


async def test_kafka_has_every_record_where_it_was(before: Installation, after: Restored) -> None:
    for place, held in before.records.items():
        assert after.records[place][: len(held)] == held, place
        assert len(after.records[place]) == len(held) or place.topic.endswith(".dlq")


async def test_the_log_and_what_no_event_holds_are_what_they_were(before: Installation, after: Restored) -> None:
    erased = {"person_key", "identity_credentials", "identity_grants", "identity_profile_access"}
    differ = [name for name, rows in after.tables.items() if rows != before.tables[name] and name not in erased]
    assert differ == []
    assert after.tables["event_log"] and after.tables["identity_mail"] and after.tables["partition_head"]


async def test_who_was_erased_stays_erased_and_who_was_not_can_be_read(before: Installation, after: Restored) -> None:
    async with opened(after.settings) as pool:
        rows = await pool.fetch("select person_id, wrapped from person_key")
        signs_in = await pool.fetch("select account_id from identity_credentials")
    wrapped = {row["person_id"]: row["wrapped"] for row in rows}
    assert (wrapped[before.erased_before], wrapped[before.erased_after]) == (None, None)
    assert {row["account_id"] for row in signs_in} == {before.kept}
    key = MasterKey.load(after.settings).unwrap(wrapped[before.kept], before.kept)
    assert key is not None
    assert key.open(before.address) == "cy@example.com"


async def test_what_happens_next_goes_on_where_it_was(before: Installation, after: Restored) -> None:
    async with opened(after.settings) as pool:
        await append(pool, after.settings, [movie_published("ronin")])
        await relayed(pool, after.settings)
        await pool.execute("insert into identity_mail (sealed, due_at, created_at) values ('next', now(), now())")
    async with looking(after.settings) as topics:
        bounds = await topics.bounds()
    added = {place: end - first - len(after.records[place]) for place, (first, end) in bounds.items()}
    assert {place.topic for place, count in added.items() if count} == {CATALOG.name}
    assert sum(added.values()) == 1


async def test_what_was_signed_before_the_backup_still_holds(after: Restored) -> None:
    settings, parts = after.settings, ("log", "kafka", "archive", "checkpoints")
    await making.bring_up_to_date(settings, Archive.open(settings))
    newest = settings.keys_path / "checkpoints.public" / "newest"
    assert newest.read_text() == "2\n"
    assert await asyncio.to_thread(run_verify, settings, Wanted(("checkpoints",))) == 1  # the second is of what is lost
    newest.write_text("1\n")
    assert await asyncio.to_thread(run_verify, settings, Wanted(parts)) == 0
    await signed(settings)
    assert newest.read_text() == "2\n"


async def test_views_are_built_from_the_archive_when_kafka_gave_up_its_beginning(cut: Settings) -> None:
    for store, view in (
        ("postgres", "playback_sessions"),
        ("postgres", "catalog_titles"),
        ("redis", "continue_watching"),
        ("cassandra", "watch_history"),
    ):
        group = grouped(views_of(cut, store), store)[view]
        version = await anywhere.begin(cut, group)
        async with Build(group, version, cut) as build:
            await build.run()
            assert set(build.first.values()) == {0}
            assert [each.view for each in await anywhere.verify(build, cut) if not each.equal] == []


async def test_a_view_is_not_built_of_what_nobody_has(cut: Settings, tmp_path: Path) -> None:
    elsewhere = cut.model_copy(update={"archive_url": (tmp_path / "nothing").as_uri()})
    group = grouped(views_of(cut, "postgres"))["catalog_windows"]
    version = await anywhere.begin(elsewhere, group)
    with pytest.raises(VersionRefused, match=r"catalog\.events/\d: offsets? 0.* neither in Kafka any more nor in"):
        async with Build(group, version, elsewhere):
            pass


async def test_a_store_that_lost_everything_is_filled_from_the_archive(cut: Settings, tmp_path: Path) -> None:
    before = await rows_of_views(cut)
    redis = connect_redis(cut)
    await redis.flushdb()
    await redis.aclose()
    worker = PlayheadProcess(("projections", "redis"), cut, tmp_path, archive_url=cut.archive_location)

    async def filled_again() -> bool:
        try:
            found = await rows_of_views(cut)
        except VersionRefused:
            return False
        return all(found[view] == rows for view, rows in before.items() if view.startswith("redis/"))

    try:
        await eventually(filled_again)
    finally:
        worker.close()
