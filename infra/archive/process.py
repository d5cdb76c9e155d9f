"""The archiver as a process, `playhead archive`: probes beside it, and an orderly end on SIGTERM."""

import pyarrow as pa
import uvloop

from infra.archive.archiving import Archiver
from infra.archive.store import Archive
from infra.settings import Settings
from infra.telemetry import configure_logs
from infra.working import working


def run(settings: Settings) -> None:
    """Archive until SIGTERM or SIGINT."""
    configure_logs(settings)
    # What is freed goes back to the system at once: between two files there is nothing to keep.
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    archiver = Archiver(Archive.open(settings), settings)
    async with working(settings, "archive", ready=archiver.missing, stop=archiver.stop):
        await archiver.run()
