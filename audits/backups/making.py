"""Makes a backup: first the archive is to have what Kafka has, then one snapshot of Postgres is taken, so that every
relayed record of the archive is in the log. All of it, or nothing: a draft, which gets its name when it is whole.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka.structs import TopicPartition

from audits.backups import keys, manifest, rows
from audits.backups.copying import copied, copied_checkpoints
from audits.backups.manifest import ARCHIVE, TABLES, Applied, Backup, BackupRefused, Dumped, Head, Noted, Part, Root
from audits.backups.showing import Show, Step, nobody
from audits.backups.tables import KEPT, unclassified
from audits.backups.topics import PASSING, looking
from audits.backups.views import applied_in, names_of_tables, noted
from audits.verifying.checkpoints import numbers
from infra.archive.archiving import Archiver
from infra.archive.files import LocalFiles
from infra.archive.manifest import ArchivedFile
from infra.archive.store import Archive
from infra.clock import monotonic_s, utc_now
from infra.ids import new_id
from infra.postgres import Connection, connect
from infra.settings import Settings

OWN: Final = 0o700
"""It holds hashes of passwords, and keys, though wrapped: for nobody else to read."""
SNAPSHOT: Final = "begin isolation level repeatable read read only"
RELAYED: Final = "select partition, position from relay_lease"
REVISION: Final = "select version_num from alembic_version"


class Snapshot(NamedTuple):
    """What one snapshot of Postgres holds."""

    taken_at: datetime
    revision: str
    heads: list[Head]
    tables: list[Dumped]
    applied: list[Applied]
    views: list[Noted]


async def make(settings: Settings, directory: Path, *, with_archive: bool = False, show: Show = nobody) -> Backup:
    """Make a backup; the directory must not be there. Raises BackupRefused, KafkaError, ArchiveDamaged, PostgresError,
    ProjectionError, OSError; then nothing is left of it.
    """
    if await asyncio.to_thread(directory.exists):
        raise BackupRefused(f"{directory} is there already: a backup is written once; name another directory")
    draft = directory.with_name(f"{directory.name}.draft-{new_id()}")
    draft.mkdir(parents=True, mode=OWN)
    (draft / TABLES).mkdir()
    try:
        backup = await _written(settings, draft, with_archive=with_archive, show=show)
        os.rename(draft, directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return backup


async def _written(settings: Settings, draft: Path, *, with_archive: bool, show: Show) -> Backup:
    begun_at = utc_now()
    connection = await connect(settings)
    try:
        master = await keys.of_installation(settings, connection)
        relayed = {row["partition"]: row["position"] for row in await connection.fetch(RELAYED)}
        archive = Archive.open(settings)
        async with looking(settings) as topics:
            counts = await topics.partitions()
        places = await bring_up_to_date(settings, archive, show)
        signed = await asyncio.to_thread(copied_checkpoints, archive, draft / ARCHIVE)  # of what is listed after it
        listed = {place: await asyncio.to_thread(archive.files, *place) for place in places}
        parts = [_part(place, files) for place, files in listed.items()]
        taken = await _snapshot(settings, connection, draft, counts, show)
        await keys.check_persons(connection, master)
    finally:
        await connection.close()
    files = [file for each in listed.values() for file in each]
    backup = Backup(
        begun_at=begun_at,
        snapshot_at=taken.taken_at,
        ended_at=utc_now(),
        revision=taken.revision,
        topics=counts,
        heads=taken.heads,
        relayed=relayed,
        archive_url=settings.archive_location,
        with_archive=with_archive,
        archive=parts,
        roots=[Root(each.topic, each.partition, each.first, each.last, each.root) for each in files],
        tables=taken.tables,
        copied=signed
        + (await asyncio.to_thread(copied, archive, files, draft / ARCHIVE, show) if with_archive else []),
        checkpoint=max(numbers(LocalFiles(str(draft / ARCHIVE))), default=0),
        sealed=master.seal(keys.SEALED_TEXT),
        keys=keys.names(settings),
        applied=taken.applied,
        views=taken.views,
    )
    await asyncio.to_thread(manifest.write, draft, backup)
    return backup


async def bring_up_to_date(settings: Settings, archive: Archive, show: Show = nobody) -> list[TopicPartition]:
    """Have the archive have what Kafka has now, with an archiver of our own beside whichever runs; the partitions that
    there are. Raises BackupRefused.
    """
    async with looking(settings) as topics:
        ends = {place: end for place, (_, end) in (await topics.bounds()).items()}
    prompt = settings.model_copy(update={"archive_file_max_age_s": settings.backup_poll_s, "archive_topics": ()})
    archiver = Archiver(archive, prompt)
    waits_until_s = monotonic_s() + settings.backup_archive_wait_s
    total = sum(ends.values())
    async with AsyncExitStack() as running:
        if await _behind(archive, ends):
            await running.enter_async_context(_archiving(archiver))
        while behind := await _behind(archive, ends):
            show(Step("archiving", total - sum(behind.values()), total))
            if monotonic_s() > waits_until_s:
                place, records = next(iter(behind.items()))
                refused = archiver.refused.get(place) or archiver.trouble or "its store is slow"
                raise BackupRefused(
                    f"the archive lacks {records} records of {place.topic}/{place.partition}: {refused}"
                )
            await asyncio.sleep(settings.backup_poll_s)
    return list(ends)


async def _behind(archive: Archive, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    have = {place: await asyncio.to_thread(archive.end, *place) for place in ends}
    return {place: end - have[place] for place, end in ends.items() if have[place] < end}


@asynccontextmanager
async def _archiving(archiver: Archiver) -> AsyncIterator[None]:
    running = asyncio.create_task(archiver.run())
    try:
        yield
    finally:
        archiver.stop()
        await asyncio.wait([running])  # aiokafka's consumer is canceled within if it ends as soon as it began
        if not running.cancelled():
            running.result()


def _part(place: TopicPartition, files: list[ArchivedFile]) -> Part:
    """What of a partition is archived. Raises BackupRefused where that cannot be brought back."""
    first = files[0].first if files else 0
    gaps = [file for file in files if file.missing and (file.first > first or place.topic not in PASSING)]
    if gaps:
        raise BackupRefused(
            f"{place.topic}/{place.partition}: the archive has nothing from {gaps[0].follows} to {gaps[0].first - 1}, "
            "which Kafka had lost before it was archived: views cannot be made again without it"
        )
    return Part(place.topic, place.partition, first, files[-1].end if files else 0)


async def _snapshot(
    settings: Settings, connection: Connection, draft: Path, counts: dict[str, int], show: Show
) -> Snapshot:
    await connection.execute("set row_security = off")  # fails where it would leave rows out
    await connection.execute(SNAPSHOT)
    revision, taken_at = await connection.fetchval(REVISION), utc_now()
    undecided = unclassified(await rows.tables_of(connection), names_of_tables(settings))
    if undecided:
        raise BackupRefused(f"nobody has said what a backup does with the tables {', '.join(undecided)}")
    heads, dumped = await rows.heads(connection), []
    for number, table in enumerate(KEPT):
        show(Step(f"copying {table}", number, len(KEPT)))
        dumped.append(await rows.dump(connection, draft, table))
    applied = await applied_in(settings, connection, counts)
    views = await noted(settings, connection, show)
    after = await applied_in(settings, connection, counts)
    moved = {one.store for one, other in zip(applied, after, strict=False) if one != other}
    return Snapshot(taken_at, revision, heads, dumped, applied, [each for each in views if each.store not in moved])
