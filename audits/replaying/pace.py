"""When each event of a replay is due. Pure: seconds after the replay's begin come out."""

import re
from typing import Final

SPEED: Final = re.compile(r"(\d+(?:\.\d+)?)x")
RATE: Final = re.compile(r"(\d+(?:\.\d+)?)/s")


class BadPace(ValueError):
    """A speed or a rate that cannot be read; the message says how it is written."""


class Pace:
    """How fast a replay goes. `speed`: 2.0 is twice as fast as it happened, None as fast as it can. `rate`: at most so
    many events a second, None any number. With both, the slower of both.
    """

    def __init__(self, speed: float | None, rate: float | None) -> None:
        self._speed = speed
        self._rate = rate
        self._first_us: int | None = None
        self._next_s = 0.0

    def due_s(self, history_time_us: int) -> float:
        """When the next event is due, in seconds after the begin; asked once for each, in order."""
        due_s = self._next_s
        if self._speed is not None:
            if self._first_us is None:
                self._first_us = history_time_us
            due_s = max(due_s, (history_time_us - self._first_us) / 1e6 / self._speed)
        if self._rate is not None:
            self._next_s = due_s + 1 / self._rate
        return due_s


def pace_of(speed: str | None, rate: str | None) -> Pace:
    """What a person says: 1x, 2.5x or max; 500/s. Neither is 1x, a rate alone as fast as it allows. Raises BadPace."""
    default = "1x" if rate is None else "max"
    return Pace(_speed_of(speed or default), None if rate is None else _number(RATE, rate, "a rate is written 500/s"))


def _speed_of(text: str) -> float | None:
    return None if text == "max" else _number(SPEED, text, "a speed is written 1x, 2.5x, or max")


def _number(pattern: re.Pattern[str], text: str, how: str) -> float:
    found = pattern.fullmatch(text)
    if found is None or not float(found[1]) > 0:
        raise BadPace(f"{how}, not {text!r}")
    return float(found[1])
