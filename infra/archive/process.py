"""The archiver as a process, `playhead archive`: probes beside it, and an orderly end on SIGTERM."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pyarrow as pa
import uvloop

from infra.archive.archiving import Archiver
from infra.archive.compacting import keep_compact
from infra.archive.retaining import keep_retention
from infra.archive.store import Archive
from infra.settings import Settings
from infra.telemetry import configure_logs
from infra.working import working

Beside = Callable[[Settings, Archive], Coroutine[None, None, None]]
"""What else goes on in the process, until it is cancelled."""


def run(settings: Settings, *beside: Beside) -> None:
    """Archive until SIGTERM or SIGINT."""
    configure_logs(settings)
    # What is freed goes back to the system at once: between two files there is nothing to keep.
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    uvloop.run(_run(settings, beside))


async def _run(settings: Settings, beside: Sequence[Beside]) -> None:
    archive = Archive.open(settings)
    archiver = Archiver(archive, settings)
    async with working(settings, "archive", ready=archiver.missing, stop=archiver.stop):
        also = [asyncio.create_task(each(settings, archive)) for each in (keep_compact, keep_retention, *beside)]
        try:
            await archiver.run()
        finally:
            for task in also:
                task.cancel()
            await asyncio.gather(*also, return_exceptions=True)
