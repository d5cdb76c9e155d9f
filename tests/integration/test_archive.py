"""What is on Kafka is in the archive once, byte for byte, whoever is killed, slow or away meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from moto.server import ThreadedMotoServer

from events.topics import BACKFILL
from infra.archive.retaining import Retention, Verdict
from infra.archive.standing import standing
from infra.archive.store import Archive
from infra.clock import utc_now
from infra.kafka import migrate as migrate_topics
from infra.settings import Settings
from tests.infra.archive.conftest import s3_settings
from tests.integration.archiving import (
    archiving,
    at_work,
    count,
    in_archive,
    is_monotone,
    new_topic,
    on_kafka,
    produce,
)
from tests.integration.conftest import settings_for
from tests.integration.projection_workers import PlayheadProcess, eventually, free_port
from tests.servers import Servers

pytestmark = pytest.mark.integration
KILLS = 3


@pytest.fixture
def live(servers: Servers, tmp_path: Path) -> Settings:
    """Kafka is all that an archiver needs."""
    return settings_for(servers, tmp_path)


async def test_what_is_produced_is_archived_byte_for_byte(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    await produce(live, topic, range(300))

    async with at_work(settings) as archiver:
        await produce(live, topic, range(300, 600))
        await has(settings, topic, 600)
        assert await archiver.missing() == {}

    assert in_archive(settings, topic) == await on_kafka(live, topic)
    assert is_monotone(settings, topic, 0)


async def test_two_archivers_with_other_cuts_write_everything_once(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    settings = archiving(live, topic, tmp_path, archive_file_max_records=17)
    other = archiving(live, topic, tmp_path, archive_file_max_records=29, archive_fetch_records=13)

    async with at_work(settings), at_work(other):
        for first in range(0, 1000, 100):
            await produce(live, topic, range(first, first + 100))
        await has(settings, topic, 1000)

    assert in_archive(settings, topic) == await on_kafka(live, topic)


async def test_a_killed_archiver_leaves_no_hole_and_nothing_twice(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    chance = random.Random(8)
    told = {"archive_topics": f'["{topic}"]', "archive_file_max_age_s": 0.02, "archive_poll_s": 0.01}
    done = asyncio.Event()
    producing = asyncio.create_task(_trickle(live, topic, done))

    for _ in range(KILLS):
        process = PlayheadProcess(("archive",), settings, tmp_path, **told)
        try:
            await has(settings, topic, 1 + await count(Archive.open(settings), topic))
            await asyncio.sleep(chance.random() / 4)
        finally:
            process.close()
    done.set()
    produced = await producing
    async with at_work(settings):
        await has(settings, topic, produced)

    assert in_archive(settings, topic) == await on_kafka(live, topic)


async def test_a_store_that_is_away_is_waited_for(live: Settings, tmp_path: Path) -> None:
    topic, port = await new_topic(live), free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    of_s3 = s3_settings(f"http://127.0.0.1:{port}", tmp_path)
    where = {name: getattr(of_s3, name) for name in ("archive_url", "archive_options", "archive_key_file")}
    settings = archiving(live, topic, tmp_path, **where)
    try:
        async with at_work(settings) as archiver:
            await produce(live, topic, range(100))
            await has(settings, topic, 100)
            server.stop()
            await produce(live, topic, range(100, 200))
            await eventually(lambda: _is_troubled(archiver.trouble))
            server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
            server.start()
            await has(settings, topic, 200)
            await eventually(lambda: _is_untroubled(archiver.trouble))
        assert in_archive(settings, topic) == await on_kafka(live, topic)
    finally:
        server.stop()


async def test_a_partition_that_kafka_has_less_of_than_the_archive_is_refused(live: Settings, tmp_path: Path) -> None:
    topic, other = await new_topic(live), await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    await produce(live, topic, range(20))
    async with at_work(settings):
        await has(settings, topic, 20)
    manifest = tmp_path / "archive" / "manifest"
    (manifest / topic).rename(manifest / other)
    Archive.open(settings)

    async with at_work(archiving(live, other, tmp_path)) as archiver:
        await eventually(lambda: _is_troubled(str(archiver.refused)))


async def has(settings: Settings, topic: str, records: int) -> None:
    """Wait until so many records are archived."""
    archive = Archive.open(settings)

    async def are_archived() -> bool:
        return await count(archive, topic) >= records

    await eventually(are_archived)


async def _is_troubled(trouble: str | None) -> bool:
    return bool(trouble)


async def _is_untroubled(trouble: str | None) -> bool:
    return not trouble


async def _trickle(live: Settings, topic: str, done: asyncio.Event) -> int:
    produced = 0
    while not done.is_set():
        await produce(live, topic, range(produced, produced + 200))
        produced += 200
        await asyncio.sleep(0.05)
    return produced


async def test_kafka_keeps_what_is_not_archived_and_loses_what_is(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    before = utc_now() + timedelta(days=3_000)
    await produce(live, topic, range(100))
    async with at_work(settings):
        await has(settings, topic, 100)
    await produce(live, topic, range(100, 120))

    async with Retention(Archive.open(settings), settings) as retention:
        await retention.apply(await retention.verdicts(topic, before))
        left = await on_kafka(live, topic)
        again = await retention.verdicts(topic, before)
    async with at_work(settings):
        await has(settings, topic, 120)

    assert [each.offset for each in left] == [*range(50, 60), *range(50, 60)]
    assert [(each.records, each.refused) for each in again] == [(0, None), (0, None)]
    assert [each.offset for each in in_archive(settings, topic)] == [*range(60), *range(60)]


async def test_nothing_goes_from_kafka_that_the_archive_has_damaged(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live, partitions=1)
    settings = archiving(live, topic, tmp_path)
    await produce(live, topic, range(10), partitions=1)
    async with at_work(settings):
        await has(settings, topic, 10)
    archive = Archive.open(settings)
    path = tmp_path / "archive" / archive.files(topic, 0)[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    async with Retention(archive, settings) as retention:
        [verdict] = await retention.verdicts(topic, utc_now() + timedelta(days=3_000))

    assert verdict.records == 0
    assert "damaged" in str(verdict.refused)


async def test_what_kafka_lost_before_it_was_archived_is_said(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live, partitions=1)
    settings = archiving(live, topic, tmp_path)
    await produce(live, topic, range(30), partitions=1)
    async with Retention(Archive.open(settings), settings) as retention:
        await retention.apply([Verdict(topic, 0, 0, 12)])

    async with at_work(settings):
        await has(settings, topic, 18)

    [of] = [each for each in await standing(Archive.open(settings), settings) if each.topic == topic]
    assert (of.missing, of.archived_until, of.kafka_first, of.lag) == (12, 30, 12, 0)
    assert [each.offset for each in in_archive(settings, topic)] == [*range(12, 30)]


async def test_topics_that_kafka_would_have_emptied_by_itself_keep_what_they_have(live: Settings) -> None:
    await migrate_topics(live)
    admin = AIOKafkaAdminClient(bootstrap_servers=live.kafka_bootstrap)
    await admin.start()
    try:
        as_before = {"retention.ms": "604800000", "segment.ms": "86400000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, BACKFILL.name, configs=as_before)])

        await migrate_topics(live)

        [reply] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, BACKFILL.name)])
        configured = {entry[0]: entry[1] for entry in reply.resources[0][4]}
        assert (configured["retention.ms"], configured["segment.ms"]) == ("-1", "86400000")
    finally:
        await admin.close()


async def test_a_kafka_that_is_away_is_waited_for(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    await produce(live, topic, range(20))
    settings = archiving(live, topic, tmp_path)
    host, _, port = live.kafka_bootstrap.partition(":")
    ours = free_port()

    async with at_work(settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{ours}"})) as archiver:
        await eventually(lambda: _is_troubled(archiver.trouble if archiver.trouble != "not started" else None))
        assert "archive" in await archiver.missing()
        async with passing_on(ours, host, int(port)):
            await has(settings, topic, 20)
            await eventually(lambda: _is_untroubled(archiver.trouble))

    assert in_archive(settings, topic) == await on_kafka(live, topic)


@asynccontextmanager
async def passing_on(port: int, to_host: str, to_port: int) -> AsyncIterator[None]:
    """What connects to a port here reaches a server elsewhere, which tells it where the broker is."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(to_host, to_port)
        with suppress(ConnectionError):
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
