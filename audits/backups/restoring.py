"""Restores a backup into empty servers: the tables, in one transaction that ends only if the log is whole and the
master keys open every person's key; then Kafka, record by record, as it was. Projections make the views again.
"""

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

from audits.backups import emptiness, keys, manifest, rows
from audits.backups.copying import bring_checkpoints
from audits.backups.erasing import erase, erased_since
from audits.backups.filling import Filling
from audits.backups.manifest import ARCHIVE, Backup, BackupRefused
from audits.backups.showing import Show, Step, nobody
from audits.backups.topics import looking
from audits.verifying.keys import SigningKeys
from events.topics import BACKFILL, DEAD_LETTERS, TOPICS, Lane
from infra import migrate, postgres
from infra.archive.errors import ArchiveDamaged
from infra.archive.store import Archive
from infra.clock import utc_now
from infra.kafka import partitions_of
from infra.personal_data import MasterKey
from infra.postgres import connect
from infra.settings import Settings

RELAY: Final = "update relay_lease set position = $2 where partition = $1"


class Restored(NamedTuple):
    """What came of a restore. `erased`: accounts that were erased after the backup; None: nobody could be asked.
    `signed`: the number of the newest checkpoint that was made with these keys, which may be of what is lost.
    """

    backup: Backup
    records: int
    events: int
    erased: list[str] | None
    signed: int


async def restore(
    settings: Settings, directory: Path, *, archive_url: str | None = None, show: Show = nobody
) -> Restored:
    """Restore a backup. `archive_url`: where its archive is now, if that is not where it was. Raises BackupRefused,
    KafkaError, ArchiveDamaged, PostgresError, DriverException, OSError.
    """
    backup = await asyncio.to_thread(manifest.read, directory)
    show(Step("checking the backup"))
    await asyncio.to_thread(manifest.check, directory, backup)
    check_counts(settings, backup)
    master = await asyncio.to_thread(keys.of_backup, settings, backup)
    source = source_of(settings, directory, backup, archive_url)
    await _check_archives(settings, backup, source)
    show(Step("checking that the servers are empty"))
    await emptiness.check(settings, backup)
    erased = await _erased_since(settings, backup, archive_url)
    await _restore_tables(settings, directory, backup, master, erased or [], show)
    await migrate.migrate(settings, lambda _: None)
    await _place_relay(settings, backup)
    async with looking(settings) as topics:
        await topics.check_empty(backup.topics)
    records = await Filling(settings, source, backup.roots, show).run(backup.archive)
    await asyncio.to_thread(bring_checkpoints, directory, Archive.open(settings))
    events = sum(head.position for head in backup.heads)
    return Restored(backup, records, events, erased, SigningKeys(settings).newest())


def check_counts(settings: Settings, backup: Backup) -> None:
    """Raises BackupRefused where these settings make other numbers of partitions than there were."""
    for topic in (*TOPICS, BACKFILL, *DEAD_LETTERS):
        have, had = partitions_of(topic, settings), backup.topics.get(topic.name)
        if had is not None and have != had:
            which = "LOG" if topic.lane is Lane.LOG else "PLAYBACK"
            raise BackupRefused(
                f"{topic.name} had {had} partitions, and with these settings has {have}: set "
                f"PLAYHEAD_{which}_PARTITIONS={had}"
            )


def source_of(settings: Settings, directory: Path, backup: Backup, archive_url: str | None) -> Archive:
    """The archive that a backup is restored from: the one that is named, the one in it, or the one that it names."""
    within = (directory / ARCHIVE).absolute().as_uri()
    url = archive_url or (within if backup.with_archive else backup.archive_url)
    return Archive.open(settings.model_copy(update={"archive_url": url}))


async def _check_archives(settings: Settings, backup: Backup, source: Archive) -> None:
    """Raises BackupRefused where the source lacks something, or where the archive that this installation is to write
    has what comes after the backup: it would be taken for what happens from now on.
    """
    own = Archive.open(settings)
    for part in backup.archive:
        name, place = f"{part.topic}/{part.partition}", (part.topic, part.partition)
        if (end := await asyncio.to_thread(source.end, *place)) < part.end:
            raise BackupRefused(
                f"the archive at {source.settings.archive_location} has {name} up to {end} and the backup up to "
                f"{part.end}: name the place that has it with --archive"
            )
        if (end := await asyncio.to_thread(own.end, *place)) not in (0, part.end):
            raise BackupRefused(
                f"the archive at {settings.archive_location} has {name} up to {end} and the backup up to {part.end}: "
                "keep it as it is, set PLAYHEAD_ARCHIVE_URL to a new place, and name the old one with --archive"
            )


async def _erased_since(settings: Settings, backup: Backup, archive_url: str | None) -> list[str] | None:
    """The accounts that were erased after the backup, as the archive says that was written on."""
    url = archive_url or backup.archive_url
    archive = Archive.open(settings.model_copy(update={"archive_url": url}))
    try:
        if not await asyncio.to_thread(archive.partitions):
            return None if any(part.end for part in backup.archive) else []
        return await erased_since(archive, backup.archive)
    except (OSError, ArchiveDamaged):
        return None


async def _restore_tables(
    settings: Settings, directory: Path, backup: Backup, master: MasterKey, erased: list[str], show: Show
) -> None:
    await postgres.migrate(settings, revision=backup.revision)
    connection = await connect(settings)
    try:
        async with connection.transaction():
            for number, dumped in enumerate(backup.tables):
                show(Step(f"filling {dumped.table}", number, len(backup.tables)))
                await rows.load(connection, directory, dumped)
            show(Step("computing the log's chain"))
            await rows.check_log(connection, backup.heads)
            await keys.check_persons(connection, master)
            await erase(connection, erased, utc_now())
    finally:
        await connection.close()


async def _place_relay(settings: Settings, backup: Backup) -> None:
    """Have the relay go on where it was; what Kafka's tails hold of what follows, it does not produce again."""
    connection = await connect(settings)
    try:
        await connection.executemany(RELAY, list(backup.relayed.items()))
    finally:
        await connection.close()
