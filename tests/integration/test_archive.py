"""What is on Kafka is in the archive once, byte for byte, whoever is killed, slow or away meanwhile."""

import asyncio
import random
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from infra.archive.store import Archive
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
        await eventually(lambda: _has(settings, topic, 600))
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
        await eventually(lambda: _has(settings, topic, 1000))

    assert in_archive(settings, topic) == await on_kafka(live, topic)


async def test_a_killed_archiver_leaves_no_hole_and_nothing_twice(live: Settings, tmp_path: Path) -> None:
    topic = await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    chance = random.Random(8)
    told = {"archive_topics": f'["{topic}"]', "archive_file_max_age_s": 0.01, "archive_file_max_records": 40}
    done = asyncio.Event()
    producing = asyncio.create_task(_trickle(live, topic, done))

    for _ in range(8):
        process = PlayheadProcess(("archive",), settings, tmp_path, **told, archive_poll_s=0.01)
        try:
            before = await count(settings, topic)
            await eventually(lambda before=before: _has(settings, topic, before + 1))  # type: ignore[misc]
            await asyncio.sleep(chance.random() / 4)
        finally:
            process.close()
    done.set()
    produced = await producing
    async with at_work(settings):
        await eventually(lambda: _has(settings, topic, produced))

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
            await eventually(lambda: _has(settings, topic, 100))
            server.stop()
            await produce(live, topic, range(100, 200))
            await eventually(lambda: _is_troubled(archiver.trouble))
            server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
            server.start()
            await eventually(lambda: _has(settings, topic, 200))
            await eventually(lambda: _is_untroubled(archiver.trouble))
        assert in_archive(settings, topic) == await on_kafka(live, topic)
    finally:
        server.stop()


async def test_a_partition_that_kafka_has_less_of_than_the_archive_is_refused(live: Settings, tmp_path: Path) -> None:
    topic, other = await new_topic(live), await new_topic(live)
    settings = archiving(live, topic, tmp_path)
    await produce(live, topic, range(20))
    async with at_work(settings):
        await eventually(lambda: _has(settings, topic, 20))
    manifest = tmp_path / "archive" / "manifest"
    (manifest / topic).rename(manifest / other)
    Archive.open(settings)

    async with at_work(archiving(live, other, tmp_path)) as archiver:
        await eventually(lambda: _is_troubled(str(archiver.refused)))


async def _has(settings: Settings, topic: str, records: int) -> bool:
    return await count(settings, topic) >= records


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
