"""What `playhead archive` does: see playhead/archive.py."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import msgspec
from aiokafka.errors import KafkaError
from rich.table import Table

from audits.verifying import checkpointing
from infra.archive import process
from infra.archive.archiving import ALL_TOPICS
from infra.archive.compacting import tidy
from infra.archive.errors import ArchiveDamaged
from infra.archive.retaining import Retention, Verdict
from infra.archive.standing import Standing, standing
from infra.archive.store import Archive
from infra.clock import utc_now
from infra.settings import Settings
from playhead.console import err, fail, out, say

AWAY = (KafkaError, OSError, ArchiveDamaged)


def run(settings: Settings) -> None:
    """Archive until told to end."""
    process.run(settings, checkpointing.keep)


def run_status(settings: Settings, *, as_json: bool) -> int:
    """Print how the archive stands; the exit status."""
    try:
        found = asyncio.run(standing(Archive.open(settings), settings))
    except AWAY as error:
        return _failed(error)
    if as_json:
        say(msgspec.json.encode(found).decode())
    else:
        out.print(_table(found))
    return 0


def _table(found: Sequence[Standing]) -> Table:
    table = Table("topic", "archived", "on Kafka", "lag", "missing", "until", "files", "bytes", "ratio", box=None)
    for topic, group in groupby(found, key=lambda each: each.topic):
        of = list(group)
        size, whole = sum(each.file_bytes for each in of), sum(each.uncompressed_bytes for each in of)
        times = [each.last_time for each in of if each.last_time is not None]
        table.add_row(
            topic,
            f"{sum(each.archived_until - each.missing for each in of):,}",
            f"{sum(each.kafka_end - each.kafka_first for each in of):,}",
            f"{sum(each.lag for each in of):,}",
            f"{sum(each.missing for each in of):,}",
            f"{datetime.fromtimestamp(max(times) / 1e6, UTC):%Y-%m-%d %H:%M:%S}" if times else "",
            f"{sum(each.files for each in of):,}",
            f"{size:,}",
            f"{whole / size:.1f}" if size else "",
        )
    return table


def run_compact(settings: Settings) -> int:
    """Compact and sweep once; the exit status."""
    try:
        made, removed = tidy(Archive.open(settings))
    except OSError as error:
        return _failed(error)
    say(f"archive: made {made} larger files, and removed {removed} that nobody needs")
    return 0


def run_retention(settings: Settings, days: int, topics: Sequence[str] | None, *, dry_run: bool) -> int:
    """Apply retention; the exit status."""
    if unknown := sorted({*(topics or ())} - {*ALL_TOPICS, *settings.archive_topics}):
        raise fail(f"there is no topic {', '.join(unknown)}; there are {', '.join(ALL_TOPICS)}")
    try:
        verdicts = asyncio.run(_retain(settings, days, topics or ALL_TOPICS, dry_run=dry_run))
    except AWAY as error:
        return _failed(error)
    removed = "would go" if dry_run else "went"
    for each in verdicts:
        if each.refused:
            err.print(f"{each.topic}:{each.partition}: refused: {each.refused}", markup=False, soft_wrap=True)
        elif each.records:
            say(f"{each.topic}:{each.partition}: {each.records:,} records {removed}, up to offset {each.upto - 1}")
    if not any(each.records or each.refused for each in verdicts):
        say(f"nothing on Kafka is older than {days} days and archived")
    return 1 if any(each.refused for each in verdicts) else 0


async def _retain(settings: Settings, days: int, topics: Sequence[str], *, dry_run: bool) -> list[Verdict]:
    before = utc_now() - timedelta(days=days)
    async with Retention(Archive.open(settings), settings) as retention:
        verdicts = [each for topic in topics for each in await retention.verdicts(topic, before)]
        if not dry_run:
            await retention.apply(verdicts)
    return verdicts


def _failed(error: Exception) -> int:
    return fail(f"the archive, or Kafka, does not answer as it should: {error}").exit_code
