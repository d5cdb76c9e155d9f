"""The relay as a process: probes beside it, and an orderly end on SIGTERM."""

import asyncio

import uvloop

from infra.event_log.idempotency import forget_old
from infra.postgres import Pool, Role, connect_pool
from infra.relay import TRANSIENT, Relay
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.working import working


def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT; the batch in hand is finished and the leases are given back."""
    configure_logs(settings)
    uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    pool = await connect_pool(settings, role=Role.RELAY)
    relay = Relay(pool, settings)

    async def missing() -> dict[str, str]:
        return {"relay": relay.trouble} if relay.trouble else {}

    try:
        async with working(settings, "relay", ready=missing, stop=relay.stop):
            forgetting = asyncio.create_task(_forget_old_replies(pool, settings))
            try:
                await relay.run()
            finally:
                forgetting.cancel()
    finally:
        await pool.close()


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
