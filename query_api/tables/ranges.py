"""The time that a question is over: the minutes, hours or days of a time zone that a range touches, which is from
`from` to before `to`; each whole, and no more of them than are read at once.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from itertools import islice, takewhile
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Depends, Query
from fastapi.exceptions import RequestValidationError

from infra.clock import utc_now
from infra.moments import Moment

ZONE_MAX_CHARS: Final = 64
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
INSTANT: Final = timedelta(microseconds=1)
YEARS: Final = range(1970, 9999)
"""Those that ranges lie in, so that every zone has their moments."""
OUTSIDE: Final = f"the range reaches outside of the years {YEARS[0]} to {YEARS[-1]}"
UTC_ZONE: Final = ZoneInfo("UTC")


class Interval(StrEnum):
    """How long each row is over. A day in a zone that puts its clock forward or back has 23 or 25 hours."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


LENGTH: Final = {Interval.MINUTE: MINUTE, Interval.HOUR: HOUR, Interval.DAY: DAY}

From = Annotated[
    Moment | None,
    Query(
        alias="from",
        description="In the first interval, which is shown whole; left out: some before `to`",
        examples=["2026-01-01T20:00:00+09:00"],
    ),
]
To = Annotated[
    Moment | None,
    Query(
        alias="to",
        description="The last interval begins before it; left out: now",
        examples=["2026-01-01T21:00:00+09:00"],
    ),
]


class Span(NamedTuple):
    """What a request says: both None when it does not."""

    since: datetime | None
    until: datetime | None


class Most(NamedTuple):
    """How many intervals are read at once, and how many of a request that does not say since when."""

    intervals: int
    default: int


@dataclass(frozen=True)
class Range:
    """Intervals, each from one of `begins` (UTC, ascending) to the next, the last one to `end`."""

    interval: Interval
    zone: ZoneInfo
    begins: tuple[datetime, ...]
    end: datetime

    @property
    def begin(self) -> datetime:
        """When the first begins."""
        return self.begins[0]

    @property
    def is_of_hours(self) -> bool:
        """Whether rows of whole hours by UTC make it up; a zone half an hour away from that is told by minutes."""
        return self.interval is not Interval.MINUTE and all(begin.minute == begin.second == 0 for begin in self.begins)

    def of(self, moment: datetime) -> datetime:
        """When the interval that holds a moment of the range begins, in UTC: there no two have one name."""
        return self.begins[bisect_right(self.begins, moment) - 1]

    def local(self, at: datetime) -> datetime:
        """A moment as the zone writes it."""
        return at.astimezone(self.zone)


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


def cut(asked: Span, interval: Interval, zone: ZoneInfo, most: Most) -> Range:
    """The intervals that a request asks for. Raises RequestValidationError, which says what to ask instead."""
    until = asked.until or utc_now()
    try:
        since = asked.since or until - INSTANT - (min(most.default, most.intervals) - 1) * LENGTH[interval]
        begins = tuple(takewhile(until.__gt__, islice(intervals(interval, zone, since), most.intervals + 1)))
        [*_, end] = islice(intervals(interval, zone, since), len(begins) + 1)
    except (OverflowError, ValueError):
        raise refused("from", OUTSIDE) from None
    if since >= until:
        raise refused("from", "Input should lie before `to`")
    if since.year not in YEARS or end.year not in YEARS:
        raise refused("from", OUTSIDE)
    if len(begins) > most.intervals:
        reason = f"the range has more than {most.intervals} {interval}s; ask for longer ones, or for less"
        raise refused("from", reason)
    return Range(interval, zone, begins, end)


async def asked_span(since: From = None, until: To = None) -> Span:
    """From when on and until when."""
    return Span(since, until)


async def asked_zone(
    zone: Annotated[
        str,
        Query(
            max_length=ZONE_MAX_CHARS,
            description="IANA name: whose days and hours, and the zone of times in the reply",
            examples=["Asia/Seoul"],
        ),
    ] = "UTC",
) -> ZoneInfo:
    """The time zone of a request. Raises RequestValidationError."""
    if zone not in _zones():
        raise refused("zone", "Input should be a name of the IANA time zones, such as Europe/Amsterdam")
    return ZoneInfo(zone)


def refused(name: str, reason: str) -> RequestValidationError:
    """The refusal of a parameter."""
    return RequestValidationError([{"type": "value_error", "loc": ("query", name), "msg": reason}])


AskedSpan = Annotated[Span, Depends(asked_span)]
AskedZone = Annotated[ZoneInfo, Depends(asked_zone)]


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
