"""Tells relays that the log has more, so that none has to wait until it looks again.

By Postgres' own NOTIFY, after the commit and outside of it: one that notifies takes a lock of the whole database while
it commits, which held by every command was a third of the appends. Nobody relies on being told: relays look as well.
"""

import asyncio
from typing import Final

from asyncpg import InterfaceError, PostgresError

from infra.postgres import Pool

CHANNEL: Final = "playhead_log"
RING: Final = f"notify {CHANNEL}"
INTERVAL_S: Final = 0.005
"""A process rings at most so often, whatever it records."""


class Bell:
    """Rings when the log has more, beside what goes on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ringing: asyncio.Task[None] | None = None
        self._again = False

    def ring(self) -> None:
        """Tell whoever listens, soon; nothing is raised."""
        self._again = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._pool.execute(RING)
            except (PostgresError, InterfaceError, OSError):  # a TimeoutError is one
                return
            await asyncio.sleep(INTERVAL_S)
