"""The relay as a process: probes beside it, and an orderly end on SIGTERM."""

import asyncio
import signal

import uvloop

from infra.event_log.idempotency import forget_old
from infra.postgres import Pool, Role, connect_pool
from infra.relay import TRANSIENT, Relay
from infra.settings import Settings
from infra.telemetry import ProbeServer, configure_logs, log


def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT; the batch in hand is finished and the leases are given back."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    pool = await connect_pool(settings, role=Role.RELAY)
    relay = Relay(pool, settings)

    async def missing() -> dict[str, str]:
        return {"relay": relay.trouble} if relay.trouble else {}

    probes = ProbeServer(settings, missing)
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, relay.stop)
    await probes.start()
    log.info("relay_started")
    forgetting = asyncio.create_task(_forget_old_replies(pool, settings))
    try:
        await relay.run()
    finally:
        forgetting.cancel()
        await probes.stop()
        await pool.close()
        log.info("relay_stopped")


async def _forget_old_replies(pool: Pool, settings: Settings) -> None:
    """The log's housekeeping, done by whoever relays it; several do it at once without harm."""
    while True:
        try:
            forgotten = await forget_old(pool, settings)
        except TRANSIENT as error:
            log.warning("old_replies_not_forgotten", reason=repr(error))
            forgotten = 0
        if forgotten < settings.idempotency_forget_rows:
            await asyncio.sleep(settings.idempotency_forget_interval_s)
