"""Keeps a library that repeats itself from filling the logs: aiokafka says a hundred times a second that Kafka is
away.
"""

import logging

from infra.clock import monotonic_s

QUIET_S = 5.0
MOST_PLACES = 1_000


class Sparing(logging.Filter):
    """Lets each line of a library's code speak once in QUIET_S; the next line that passes says how many did not."""

    def __init__(self, *libraries: str) -> None:
        super().__init__()
        self._libraries = libraries
        self._spoke: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        if not record.name.startswith(self._libraries):
            return True
        place, now_s = (record.pathname, record.lineno), monotonic_s()
        spoke_at_s, held_back = self._spoke.get(place, (-QUIET_S, 0))
        if now_s - spoke_at_s < QUIET_S:
            self._spoke[place] = (spoke_at_s, held_back + 1)
            return False
        if len(self._spoke) >= MOST_PLACES:
            self._spoke.clear()
        self._spoke[place] = (now_s, 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} (and {held_back} times more)", ()
        return True
