"""The simulated time of an evening."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from infra.clock import monotonic_s, utc_now

OVERTIME_S: Final = 5.0
"""How long after the evening's end viewers still send what is left; on a machine that is too slow, some never do."""


class EveningClock:
    """Simulated time: `length_ms` of evening pass in `seconds`, and the evening ends now.

    It began as long ago as it is long, so that what players say lies in the past and as far apart as it would be.
    """

    def __init__(self, seconds: float, length_ms: int) -> None:
        self.length_ms = length_ms
        self.factor = length_ms / (seconds * 1000)
        self._began_s = monotonic_s()
        self._begins_at = utc_now() + timedelta(seconds=seconds) - timedelta(milliseconds=length_ms)

    @property
    def now_ms(self) -> int:
        """How far into the evening it is."""
        return int((monotonic_s() - self._began_s) * 1000 * self.factor)

    @property
    def over(self) -> bool:
        """Whether it is past its end, and past what a machine that keeps up needs to send the rest."""
        return self.now_ms > self.length_ms + OVERTIME_S * 1000 * self.factor

    def at(self, evening_ms: int) -> datetime:
        """When a moment of the evening was."""
        return self._begins_at + timedelta(milliseconds=evening_ms)

    async def until(self, evening_ms: int) -> None:
        """Sleep until then, or the evening's end."""
        left_ms = min(evening_ms, self.length_ms) - self.now_ms
        if left_ms > 0:
            await asyncio.sleep(left_ms / 1000 / self.factor)
