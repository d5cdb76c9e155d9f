"""The archiver as a process, `playhead archive`: probes beside it, and an orderly end on SIGTERM."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import pyarrow as pa
import uvloop

from infra.archive.archiving import Archiver
from infra.archive.compacting import keep_compact
from infra.archive.retaining import keep_retention
from infra.archive.store import Archive
from infra.settings import Settings
from infra.telemetry import configure_logs
from infra.working import working

GC_THRESHOLDS: Final = (50_000, 50, 1_000)
"""A fetch makes thousands of objects, which are held for a while, and none is in a cycle: look for cycles seldom."""
Beside = Callable[[Settings, Archive], Coroutine[None, None, None]]
"""What else goes on in the process, until it is cancelled."""


def run(settings: Settings, *beside: Beside) -> None:
    """Archive until SIGTERM or SIGINT."""
    configure_logs(settings)
    # What is freed goes back to the system at once: between two files there is nothing to keep.
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
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
