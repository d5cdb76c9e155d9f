"""Runs the outbox beside the commands API, for as long as that is served."""

import asyncio
from typing import Final

import asyncpg

from commands.identity.emails.outbox import Clearing, Outbox
from infra.clock import Clock, utc_now
from infra.settings import Settings
from infra.telemetry import log

TRANSIENT: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class OutboxRounds:
    """Sends and clears round after round; trouble with Postgres is waited out."""

    def __init__(self, outbox: Outbox, settings: Settings, clock: Clock = utc_now) -> None:
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._clearing = Clearing(settings)

    async def run(self) -> None:
        """For ever. Cancelled, it ends at once: a letter that was being sent is sent again by whoever comes next."""
        pause_s = self._settings.mail_poll_interval_s
        while True:
            more = False
            try:
                more = await self._outbox.send_due() >= self._settings.mail_batch_rows
                if self._clearing.is_due(self._clock()):
                    await self._outbox.drop_expired()
                pause_s = self._settings.mail_poll_interval_s
            except TRANSIENT as error:
                pause_s = min(2 * pause_s, self._longest_pause_s)
                log.warning("mail_interrupted", reason=type(error).__name__)
            if not more:
                await asyncio.sleep(pause_s)

    @property
    def _longest_pause_s(self) -> float:
        return max(self._settings.mail_poll_interval_s, self._settings.store_retry_max_s)
