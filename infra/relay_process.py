"""The relay as a process: probes beside it, and an orderly end on SIGTERM."""

import asyncio
import signal

import uvloop

from infra.postgres import connect_pool
from infra.relay import Relay
from infra.settings import Settings
from infra.telemetry import ProbeServer, configure_logs, log


def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT; the batch in hand is finished and the leases are given back."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    pool = await connect_pool(settings)
    relay = Relay(pool, settings)

    async def missing() -> dict[str, str]:
        return {"relay": relay.trouble} if relay.trouble else {}

    probes = ProbeServer(settings, missing)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, relay.stop)
    await probes.start()
    log.info("relay_started")
    try:
        await relay.run()
    finally:
        await probes.stop()
        await pool.close()
        log.info("relay_stopped")
