"""Takes checkpoints: `playhead audit checkpoint`, and a loop beside the archive's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from asyncpg import InterfaceError, PostgresError

from audits.verifying import checkpoints
from audits.verifying.checkpoints import Checkpoint, Head, Range, Stored, reached
from audits.verifying.keys import SigningKeys
from audits.verifying.leaves import tree_of
from audits.verifying.signed import NotSigned, opened
from infra.archive.errors import ArchiveAway, ArchiveDamaged
from infra.archive.store import Archive
from infra.clock import Clock, utc_now
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import log

HEADS: Final = "select partition, position, hash from partition_head where position > 0 order by partition"
AWAY: Final = (ArchiveAway, PostgresError, InterfaceError, OSError)  # a TimeoutError is one


async def keep(settings: Settings, archive: Archive) -> None:
    """Take one every settings.checkpoint_interval_s, if there is something new, until cancelled: beside what archives.
    What does not answer is asked again the next time; what is damaged is logged, and nothing is signed over it.
    """
    pool = await connect_pool(settings, role=Role.AUDITS, size=1)
    try:
        while True:
            await asyncio.sleep(settings.checkpoint_interval_s)
            await _attempt(settings, archive, pool)
    finally:
        await pool.close()


async def _attempt(settings: Settings, archive: Archive, pool: Pool) -> None:
    try:
        stored = await take(settings, archive, pool)
    except (*AWAY, ArchiveDamaged, NotSigned) as error:
        log.warning("no_checkpoint", reason=repr(error), retry_s=settings.checkpoint_interval_s)
        return
    if stored is not None:
        log.info("checkpoint", number=stored.checkpoint.number, digest=stored.digest)


async def take(settings: Settings, archive: Archive, pool: Pool, clock: Clock = utc_now) -> Stored | None:
    """The next checkpoint, over what the archive and the log got since the newest; None if that is nothing, or if
    another process took it meanwhile. Raises ArchiveAway, ArchiveDamaged, NotSigned if the newest is not by a key of
    ours, and what asyncpg raises.
    """
    keys = SigningKeys(settings, clock)
    newest = await asyncio.to_thread(_newest, archive, keys)
    before = None if newest is None else newest.checkpoint
    rows = await pool.fetch(HEADS)
    heads = tuple(Head(row["partition"], row["position"], row["hash"].hex()) for row in rows)
    ranges = tuple([each async for each in _ranges(archive, before)])
    if before is not None and not ranges and heads == before.heads:
        return None
    held = reached(before) | {(each.topic, each.partition): each.last + 1 for each in ranges}
    checkpoint = Checkpoint(
        number=1 if before is None else before.number + 1,
        at=clock(),
        previous=None if newest is None else newest.digest,
        ranges=ranges,
        heads=heads,
        ends=tuple((topic, partition, end) for (topic, partition), end in sorted(held.items())),
    )
    return await asyncio.to_thread(checkpoints.write, archive.files_of_store, keys, checkpoint)


def _newest(archive: Archive, keys: SigningKeys) -> Stored | None:
    files = archive.files_of_store
    there = checkpoints.numbers(files)
    if not there or there[-1] < keys.newest():
        if keys.newest():
            raise NotSigned(f"{checkpoints.path_of(keys.newest())}: was made and is not there")
        return None
    stored = checkpoints.read(files, there[-1])
    opened(stored.document, keys.trusted())
    return stored


async def _ranges(archive: Archive, before: Checkpoint | None) -> AsyncIterator[Range]:
    held = reached(before)
    for topic, partition in await asyncio.to_thread(archive.partitions):
        first = held.get((topic, partition), 0)
        end = await asyncio.to_thread(archive.end, topic, partition)
        if end > first:
            tree = await asyncio.to_thread(tree_of, archive, topic, partition, first, end - 1)
            yield Range(topic, partition, first, end - 1, tree.size, tree.root().hex())
