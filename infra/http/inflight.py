"""How many bytes of bodies a process holds at a time, of all its callers and of each: more is refused before memory
grows.
"""

from typing import Final

from prometheus_client import Gauge
from starlette.exceptions import HTTPException

from infra.settings import Settings

HELD: Final = Gauge("playhead_http_bodies_inflight_bytes", "Bodies of requests under way, inflated ones too")


class Room:
    """What is held now. A caller is a session, a principal or an address; None: nobody is told from others."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.ingest_inflight_max_bytes
        self._most_of_one = settings.ingest_inflight_key_max_bytes
        self._again = {"Retry-After": str(settings.retry_after_s), "Connection": "close"}
        self._held = 0
        self._held_of: dict[str, int] = {}
        HELD.set_function(lambda: self._held)

    def check(self, caller: str | None, size: int) -> None:
        """Whether there is room for so much. Raises HTTPException 429 and 503."""
        if self._held + size > self._most:
            raise HTTPException(503, f"{self._held} bytes of bodies are under way here; send it again", self._again)
        held = self._held_of.get(caller) if caller is not None else None
        if held is not None and held + size > self._most_of_one:
            raise HTTPException(429, f"{held} bytes of yours are under way here; send this when they are", self._again)

    def take(self, caller: str | None, size: int) -> None:
        """Hold so much more. Raises HTTPException 429 and 503."""
        self.check(caller, size)
        self._held += size
        if caller is not None:
            self._held_of[caller] = self._held_of.get(caller, 0) + size

    def give_back(self, caller: str | None, size: int) -> None:
        """Hold so much less."""
        self._held -= size
        if caller is not None:
            left = self._held_of[caller] - size
            if left:
                self._held_of[caller] = left
            else:
                del self._held_of[caller]
