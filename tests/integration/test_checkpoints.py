"""Checkpoints of a real log and an archive: each signs what came since the one before, once, and nothing if damaged."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audits.verifying import checkpoints
from audits.verifying.checkpointing import take
from audits.verifying.checkpoints import Head, path_of
from audits.verifying.keys import SigningKeys
from audits.verifying.proofs import place_of_event, place_of_position, prove
from audits.verifying.signed import NotSigned
from infra.archive.records import Record, envelope_of
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.event_log import EventLog, LogRow
from infra.positions import Position
from infra.postgres import Pool, connect_pool
from infra.settings import Settings
from tests.integration.tampering import recorded

pytestmark = pytest.mark.integration

TOPIC = "catalog.events"


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


@pytest.fixture
def archive(ours: Settings, tmp_path: Path) -> Archive:
    return Archive.open(ours.model_copy(update={"state_dir": tmp_path}))


def add(archive: Archive, rows: list[LogRow], first: int, end: int) -> None:
    """Archive rows as they were relayed: each offset is one less than the position."""
    records = []
    for row in rows[first:end]:
        recorded_at = envelope_of(row.body).recordedtime
        assert recorded_at is not None
        time_us = round(recorded_at.timestamp() * 1e6)
        place = (TOPIC, 0, row.position - 1, time_us, time_us // 1000)
        records.append(Record(*place, row.stream_id.encode(), row.body, row.position, ()))
    write_file(archive, records)


async def test_each_signs_what_came_since_the_one_before(archive: Archive, pool: Pool, rows: list[LogRow]) -> None:
    settings = archive.settings
    add(archive, rows, 0, 10)
    first = await take(settings, archive, pool)
    assert first is not None
    assert [(each.first, each.last, each.size) for each in first.checkpoint.ranges] == [(0, 9, 10)]
    assert first.checkpoint.heads == (Head(0, rows[-1].position, rows[-1].hash.hex()),)
    assert await take(settings, archive, pool) is None
    add(archive, rows, 10, 20)
    add(archive, rows, 20, 30)
    second = await take(settings, archive, pool)
    assert second is not None and second.checkpoint.previous == first.digest
    assert [(each.first, each.last) for each in second.checkpoint.ranges] == [(10, 29)]
    keys = SigningKeys(settings)
    assert checkpoints.examine(archive.files_of_store, keys.trusted(), keys.newest())[1] == []


async def test_of_two_that_take_one_at_once_one_does(archive: Archive, pool: Pool, rows: list[LogRow]) -> None:
    add(archive, rows, 0, 10)
    taken = await asyncio.gather(*(take(archive.settings, archive, pool) for _ in range(4)))
    assert len([each for each in taken if each is not None]) == 1
    assert checkpoints.numbers(archive.files_of_store) == [1]


async def test_nothing_is_signed_after_one_that_is_missing_or_is_not_ours(
    archive: Archive, pool: Pool, rows: list[LogRow]
) -> None:
    add(archive, rows, 0, 10)
    first = await take(archive.settings, archive, pool)
    assert first is not None
    archive.files_of_store.remove(path_of(1))
    with pytest.raises(NotSigned, match="was made and is not there"):
        await take(archive.settings, archive, pool)
    archive.files_of_store.create(path_of(1), first.document.replace(b'"number":1', b'"number":2', 1))
    with pytest.raises(NotSigned, match="is not what"):
        await take(archive.settings, archive, pool)


async def test_an_event_is_proved_by_its_id_or_its_position_in_the_log(
    archive: Archive, pool: Pool, rows: list[LogRow]
) -> None:
    add(archive, rows, 0, 10)
    await take(archive.settings, archive, pool)
    event_id = envelope_of(rows[6].body).id
    assert event_id is not None
    assert place_of_event(archive, event_id) == place_of_position(archive, Position(TOPIC, 0, 7)) == (TOPIC, 0, 6)
    proof = prove(archive, SigningKeys(archive.settings).trusted(), TOPIC, 0, 6)
    assert (proof.record.position, proof.index) == (7, 6)
