"""The renewal process: `playhead billing`. Probes beside it; SIGTERM finishes what is in hand."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
import uvloop

from commands.handling import Handling
from commands.subscription.billing import Billing, Bounds, PostgresDue
from commands.subscription.installation import Deciders, policy_of
from commands.subscription.streams import PostgresStreams
from infra.clock import Clock, utc_now
from infra.event_log import EventLog
from infra.payments.http_provider import HttpPaymentProvider
from infra.payments.keys import PaymentKeys
from infra.payments.provider import PaymentProvider
from infra.postgres import Pool, Role, connect_pool
from infra.settings import Settings
from infra.telemetry import configure_logs, log
from infra.working import working

TRANSIENT = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def new_billing(pool: Pool, provider: PaymentProvider, settings: Settings, clock: Clock = utc_now) -> Billing:
    """The work of an installation's renewal process."""
    return Billing(
        handling=Handling(EventLog(pool, settings), clock),
        streams=PostgresStreams(pool),
        due=PostgresDue(pool),
        provider=provider,
        deciders=Deciders.under(policy_of(settings)),
        clock=clock,
        bounds=Bounds(
            batch=settings.billing_batch_rows,
            at_once=settings.billing_max_concurrency,
            recheck=timedelta(seconds=settings.billing_recheck_s),
        ),
    )


def run(settings: Settings, *, once: bool = False) -> None:
    """Bill until SIGTERM or SIGINT, or once."""
    configure_logs(settings)
    uvloop.run(_run(settings, once))


class Rounds:
    """Runs a billing round after round. `trouble`: why the last one failed, or None."""

    def __init__(self, billing: Billing, settings: Settings) -> None:
        self._billing = billing
        self._settings = settings
        self._stopped = asyncio.Event()
        self.trouble: str | None = "not started"

    def stop(self) -> None:
        """Finish what is in hand, and end."""
        self._billing.stopping = True
        self._stopped.set()

    async def run(self, *, once: bool) -> None:
        """Until stop(), or one round. Trouble with Postgres is waited out, with pauses up to store_retry_max_s."""
        pause_s = self._settings.billing_poll_interval_s
        while not self._stopped.is_set():
            try:
                await self._billing.run_once()
                self.trouble, pause_s = None, self._settings.billing_poll_interval_s
            except* TRANSIENT as errors:
                self.trouble = repr(errors.exceptions[0])
                pause_s = min(2 * pause_s, self._settings.store_retry_max_s)
                log.warning("billing_interrupted", reason=self.trouble)
            if once and self.trouble is None:
                return
            await self._pause(pause_s)

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopped.wait()
        except TimeoutError:
            return

    async def missing(self) -> dict[str, str]:
        """What readiness shows."""
        return {"billing": self.trouble} if self.trouble else {}


async def _run(settings: Settings, once: bool) -> None:
    async with AsyncExitStack() as opened:
        pool = await connect_pool(settings, role=Role.BILLING)
        opened.push_async_callback(pool.close)
        provider = await opened.enter_async_context(HttpPaymentProvider(PaymentKeys.load(settings), settings))
        rounds = Rounds(new_billing(pool, provider, settings), settings)
        await opened.enter_async_context(working(settings, "billing", ready=rounds.missing, stop=rounds.stop))
        await rounds.run(once=once)
