"""The rules of time that an operator chooses: how long grace lasts, when a declined payment is tried again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`retries`: after the period's end, inside the grace. Settings of the same names hold an installation's."""

    grace: timedelta = timedelta(days=7)
    retries: tuple[timedelta, ...] = (timedelta(days=1), timedelta(days=3), timedelta(days=5))
    past_due: timedelta = timedelta(days=30)
    pending: timedelta = timedelta(hours=24)
    longest_pause: timedelta = timedelta(days=90)
    rental_start: timedelta = timedelta(days=30)
    rental_play: timedelta = timedelta(hours=48)
