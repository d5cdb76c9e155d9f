"""Whether an installation that was restored is the one of the backup: waits until every view has applied all, and
compares the log, Kafka and every view.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from audits.backups import manifest, rows
from audits.backups.manifest import Applied, Backup, BackupRefused, Noted
from audits.backups.restoring import source_of
from audits.backups.showing import Show, Step, nobody
from audits.backups.topics import looking
from audits.backups.views import applied_in, noted, topics_by_view, topics_of_store
from infra.clock import monotonic_s
from infra.postgres import Connection, connect
from infra.settings import Settings
from projections.app import STORES
from projections.errors import ProjectionError

UNRELAYED: Final = """
    select coalesce(sum(head.position - lease.position), 0)::bigint
    from partition_head as head join relay_lease as lease using (partition)
"""
LOG: Final = "the log's chain"
KAFKA: Final = "Kafka beside the archive"


class Finding(NamedTuple):
    """Something that was compared. `equal`: None where it cannot be said, which `detail` explains."""

    what: str
    equal: bool | None
    detail: str = ""


async def verify(
    settings: Settings, directory: Path, *, archive_url: str | None = None, show: Show = nobody
) -> list[Finding]:
    """Compare everything. The relay and the projections must run, and nothing that adds events. Raises BackupRefused
    when views do not get on, KafkaError, ArchiveDamaged, PostgresError, ProjectionError, OSError.
    """
    backup = await asyncio.to_thread(manifest.read, directory)
    connection = await connect(settings)
    try:
        found = [await _log(connection, backup)]
        async with looking(settings) as topics:
            differ = await topics.compare(source_of(settings, directory, backup, archive_url), backup.archive, show)
            found.append(Finding(KAFKA, not differ, "; ".join(differ)))
        applied = await all_applied(settings, connection, backup.topics, show)
        await connection.execute("begin isolation level repeatable read read only")
        held = await noted(settings, connection, show)
    finally:
        await connection.close()
    return found + compared(backup, applied, held, topics_by_view(settings))


async def _log(connection: Connection, backup: Backup) -> Finding:
    try:
        await rows.check_log(connection, backup.heads)
    except BackupRefused as error:
        return Finding(LOG, equal=False, detail=str(error))
    return Finding(LOG, equal=True, detail=f"{sum(head.position for head in backup.heads)} events")


async def all_applied(settings: Settings, connection: Connection, counts: dict[str, int], show: Show) -> list[Applied]:
    """Wait until the relay and every view have got on to the end; how far they are then. `counts`: of partitions, by
    topic. Raises BackupRefused when they do not.
    """
    least: int | None = None
    moved_at_s = monotonic_s()
    while True:
        applied, left, total = await _left(settings, connection, counts)
        show(Step("building views", total - left, total))
        if not left:
            return applied
        if least is None or left < least:
            least, moved_at_s = left, monotonic_s()
        elif monotonic_s() - moved_at_s > settings.restore_stuck_s:
            raise BackupRefused(
                f"nothing was applied for {settings.restore_stuck_s:.0f} s, with {left} records left: do the relay and "
                "the projections of every store run, and are they ready?"
            )
        await asyncio.sleep(settings.backup_poll_s)


async def _left(settings: Settings, connection: Connection, counts: dict[str, int]) -> tuple[list[Applied], int, int]:
    """How far the views are, how many records are left to be relayed and applied, and how many there are."""
    unrelayed = await connection.fetchval(UNRELAYED)
    async with looking(settings) as topics:
        bounds = await topics.bounds()
    try:
        applied = await applied_in(settings, connection, counts)
    except ProjectionError:
        applied = []
    reached = {(each.store, each.topic, each.partition): each.next_offset for each in applied}
    left = total = unrelayed
    for store in STORES:
        names = set(topics_of_store(settings, store))
        for place, (first, end) in bounds.items():
            if place.topic in names:
                total += end - first
                left += max(end - max(reached.get((store, *place), 0), first), 0)
    return applied, left, total


def compared(
    backup: Backup,
    applied: Sequence[Applied],
    held: Sequence[Noted],
    topics: Mapping[tuple[str, str], Collection[str]],
) -> list[Finding]:
    """Every view beside what it was; it may differ where it has other events in it. `topics`: by store and view, what
    it is made of. Pure.
    """
    before, now = _by_view(backup.views), _by_view(held)
    others = {(each.store, each.topic) for each in {*applied} ^ {*backup.applied}}
    return [
        _compared(
            view, before.get(view), now.get(view), as_far=not others & {(view[0], topic) for topic in topics[view]}
        )
        for view in sorted({*before, *now})
    ]


def _by_view(views: Sequence[Noted]) -> Mapping[tuple[str, str], Noted]:
    return {(each.store, each.view): each for each in views}


def _compared(view: tuple[str, str], before: Noted | None, now: Noted | None, *, as_far: bool) -> Finding:
    name = f"{view[1]} in {view[0]}"
    if now is None:
        return Finding(name, equal=False, detail="is not there")
    if before is None:
        return Finding(name, equal=None, detail=f"{now.rows} rows; it moved while the backup was made")
    if before == now:
        return Finding(name, equal=True, detail=f"{now.rows} rows")
    detail = f"{before.rows} rows in the backup, {now.rows} here"
    return Finding(name, equal=False if as_far else None, detail=detail + ("" if as_far else ", of other events"))
