"""Opens an import: the log that it records in, and what it remembers of runs before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from commands.catalog.importing.importer import Bounds, Importer
from commands.catalog.importing.journal import ErrorFile, Journal
from commands.handling import Handling
from events.envelope import Context
from infra.clock import utc_now
from infra.event_log import EventLog
from infra.ids import new_id
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings

PRINCIPAL = "catalog-import"


def beside(file: Path, suffix: str) -> Path:
    """The file of an import that lies beside its lines."""
    return file.with_name(file.name + suffix)


@asynccontextmanager
async def opened(settings: Settings, file: Path, bounds: Bounds) -> AsyncIterator[Importer]:
    """An importer for a file, with a connection for each lane. Raises StateUnreadable."""
    journal = Journal.load(beside(file, ".state"))
    pool = await connect_pool(settings, role=Role.COMMANDS, size=bounds.lanes)
    try:
        if not await _is_of(journal, pool):
            journal.forget()
        yield Importer(
            handling=Handling(EventLog(pool, settings), utc_now),
            journal=journal,
            errors=ErrorFile(beside(file, ".errors.jsonl")),
            context=Context(correlation_id=f"import-{new_id()}", principal=PRINCIPAL),
            bounds=bounds,
        )
    finally:
        await pool.close()


async def _is_of(journal: Journal, pool: Pool) -> bool:
    """Whether this log has what the journal remembers: another installation, or one restored from before, has not."""
    known = "select exists (select from event_log where stream_id = $1)"
    return journal.last_stream is None or bool(await pool.fetchval(known, journal.last_stream))
