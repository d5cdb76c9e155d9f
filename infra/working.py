"""A process without HTTP of its own, at work: its probes beside it, and an orderly end on SIGTERM."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from infra.settings import Settings
from infra.telemetry import ProbeServer, Readiness, log


@asynccontextmanager
async def working(settings: Settings, name: str, *, ready: Readiness, stop: Callable[[], None]) -> AsyncIterator[None]:
    """Serve the probes meanwhile. SIGTERM and SIGINT call `stop`, which is to end what is done here."""
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)
    probes = ProbeServer(settings, ready)
    await probes.start()
    try:
        log.info(f"{name}_started")
        yield
        log.info(f"{name}_stopped")
    finally:
        await probes.stop()
