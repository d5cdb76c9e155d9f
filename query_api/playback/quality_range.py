"""The minutes, hours or days that a question about quality is over, in the time zone that it names."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import islice, takewhile
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Query
from fastapi.exceptions import RequestValidationError

from infra.clock import utc_now
from infra.moments import Moment
from query_api.dependencies import ReadSettings

ZONE_MAX_CHARS: Final = 64
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Interval(StrEnum):
    """How long each row is over. A day in a zone that puts its clock forward or back has 23 or 25 hours."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


LENGTH: Final = {Interval.MINUTE: MINUTE, Interval.HOUR: HOUR, Interval.DAY: DAY}


@dataclass(frozen=True)
class Range:
    """Intervals, each from one of `begins` (UTC, ascending) to the next, the last one to `end`."""

    interval: Interval
    zone: ZoneInfo
    begins: tuple[datetime, ...]
    end: datetime

    @property
    def is_of_hours(self) -> bool:
        """Whether rows of whole hours by UTC make it up; a zone half an hour away from that is told by minutes."""
        return self.interval is not Interval.MINUTE and all(begin.minute == begin.second == 0 for begin in self.begins)

    def local(self, at: datetime) -> datetime:
        """A moment as the zone writes it."""
        return at.astimezone(self.zone)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def intervals(interval: Interval, zone: ZoneInfo, since: datetime) -> Iterator[datetime]:
    """When the interval that holds a moment begins (UTC), then when each after it does. Raises OverflowError."""
    local = since.astimezone(zone)
    if interval is Interval.DAY:
        day = local.date()
        while True:
            yield datetime.combine(day, time(), zone).astimezone(UTC)
            day += DAY
    begin = since - timedelta(
        minutes=local.minute if interval is Interval.HOUR else 0, seconds=local.second, microseconds=local.microsecond
    )
    while True:
        yield begin.astimezone(UTC)
        begin += LENGTH[interval]


async def asked_range(
    settings: ReadSettings,
    from_time: Annotated[
        Moment | None, Query(alias="from", description="In the first interval; left out: some before `to`")
    ] = None,
    to_time: Annotated[
        Moment | None, Query(alias="to", description="The last interval begins before it; left out: now")
    ] = None,
    interval: Interval = Interval.HOUR,
    zone: Annotated[
        str, Query(max_length=ZONE_MAX_CHARS, description="Whose days and hours: a name of the IANA time zones")
    ] = "UTC",
) -> Range:
    """The intervals that a request asks for, at most settings.quality_max_intervals of them. Raises
    RequestValidationError.
    """
    if zone not in _zones():
        raise refused("zone", "Input should be a name of the IANA time zones, such as Europe/Amsterdam")
    most, default = settings.quality_max_intervals, settings.quality_default_intervals
    until = to_time or utc_now()
    try:
        since = from_time or until - min(default, most) * LENGTH[interval]
        begins = tuple(takewhile(until.__gt__, islice(intervals(interval, ZoneInfo(zone), since), most + 1)))
        [*_, end] = islice(intervals(interval, ZoneInfo(zone), since), len(begins) + 1)
    except OverflowError:
        raise refused("from", "the range reaches outside of the years 1 to 9999") from None
    if not begins or since >= until:
        raise refused("from", "Input should lie before `to`")
    if len(begins) > most:
        raise refused("from", f"the range has more than {most} intervals; ask for longer ones, or for less")
    return Range(interval, ZoneInfo(zone), begins, end)


def refused(name: str, reason: str) -> RequestValidationError:
    """The refusal of a parameter."""
    return RequestValidationError([{"type": "value_error", "loc": ("query", name), "msg": reason}])
