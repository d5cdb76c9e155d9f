"""The only place that reads the time: everything else takes it as a value or takes a Clock."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds from an arbitrary start, for measuring how long something took."""
    return time.monotonic()


def epoch_s() -> float:
    """Seconds since 1970, for what several processes count in windows."""
    return time.time()
