"""Whether Kafka is there, as a worker sees it: asked over and over, since a topic without news and a Kafka that is away
look the same to whoever only fetches.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from infra.clock import monotonic_s
from projections.errors import StoreUnavailable

ASK_INTERVAL_S: Final = 1.0


class Pulse:
    """Asks Kafka once a second. `ask`: returns when Kafka answers, and raises StoreUnavailable when it does not.

    Kafka may owe an answer for `silent_after_s` before the worker says that it is not ready.
    """

    def __init__(self, ask: Callable[[], Awaitable[None]], silent_after_s: float) -> None:
        self._ask = ask
        self._silent_after_s = silent_after_s
        self._owed_since_s: float | None = None

    async def listen(self) -> None:
        """Ask until canceled."""
        while True:
            await self.ask_once()
            await asyncio.sleep(ASK_INTERVAL_S)

    async def ask_once(self) -> None:
        """Ask once. What is owed is counted from the first question that got no answer."""
        if self._owed_since_s is None:
            self._owed_since_s = monotonic_s()
        try:
            await self._ask()
        except StoreUnavailable:
            return
        self._owed_since_s = None

    def missing(self) -> dict[str, str]:
        """What readiness shows."""
        if self._owed_since_s is None:
            return {}
        silent_s = monotonic_s() - self._owed_since_s
        return {"kafka": f"silent for {silent_s:.0f} s"} if silent_s > self._silent_after_s else {}
