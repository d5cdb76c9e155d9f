"""Which time a request is about: whole hours or days, in a time zone, and no more of them than may be read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from fastapi import Depends, Query
from fastapi.exceptions import RequestValidationError

from infra.clock import utc_now
from infra.moments import Moment
from infra.settings import Settings
from query_api.dependencies import ReadSettings

Interval: TypeAlias = Literal["hour", "day"]

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
ZONE_MAX_CHARS: Final = 64
YEARS: Final = range(1970, 9999)
"""Those that ranges lie in, so that every zone has their moments."""
ZONES: Final = available_timezones()

From_ = Annotated[Moment | None, Query(alias="from", description="Its hour or day is the first")]
To = Annotated[Moment | None, Query(alias="to", description="Its hour or day is the last; left out: now")]


class Range(NamedTuple):
    """From a moment to before another."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Buckets:
    """A range of whole hours, cut into hours or into the days of a zone. An hour belongs to the day in which it begins;
    the first and the last day may be parts of one.
    """

    range: Range
    interval: Interval
    zone: tzinfo

    def of(self, hour: datetime) -> datetime:
        """When the bucket that an hour is in begins, in UTC: there no two hours of a day are called the same."""
        return hour if self.interval == "hour" else self._midnight(hour.astimezone(self.zone).date())

    def __iter__(self) -> Iterator[datetime]:
        begin, end = self.range
        if self.interval == "hour":
            return (begin + number * HOUR for number in range((end - begin) // HOUR))
        first, last = (moment.astimezone(self.zone).date() for moment in (begin, end - HOUR))
        return (self._midnight(first + number * DAY) for number in range((last - first).days + 1))

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


async def asked_zone(
    zone: Annotated[
        str, Query(max_length=ZONE_MAX_CHARS, description="IANA name: the zone of days, and of times in the reply")
    ] = "UTC",
) -> tzinfo:
    """The time zone of a request. Raises RequestValidationError."""
    if zone == "UTC":
        return UTC
    if zone not in ZONES:
        raise refused("zone", "Input should be the name of a time zone, such as Asia/Seoul")
    return ZoneInfo(zone)


async def asked_buckets(
    settings: ReadSettings,
    zone: Annotated[tzinfo, Depends(asked_zone)],
    interval: Interval = "day",
    from_time: From_ = None,
    to_time: To = None,
) -> Buckets:
    """The hours or days that a request asks for; by default the last settings.audience_default_days. Raises
    RequestValidationError.
    """
    buckets = Buckets(_range(hour_of, HOUR, from_time, to_time, settings), interval, zone)
    count = sum(1 for _ in buckets)
    if count > settings.audience_max_buckets:
        most = settings.audience_max_buckets
        raise refused("from", f"the range has {count} {interval}s; at most {most} are shown at once")
    return buckets


async def asked_days(settings: ReadSettings, from_time: From_ = None, to_time: To = None) -> Range:
    """The days, UTC, that a request asks for; by default the last settings.audience_default_days. Raises
    RequestValidationError.
    """
    return _range(day_of, DAY, from_time, to_time, settings)


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The beginning of its day, in UTC."""
    return hour_of(moment).replace(hour=0)


def _range(
    begin_of: Callable[[datetime], datetime],
    step: timedelta,
    from_time: datetime | None,
    to_time: datetime | None,
    settings: Settings,
) -> Range:
    last = begin_of(to_time or utc_now())
    if last.year not in YEARS:
        raise refused("to", f"Input should lie in the years {YEARS[0]} to {YEARS[-1]}")
    begin = begin_of(from_time) if from_time else last + step - settings.audience_default_days * DAY
    if begin.year not in YEARS:
        raise refused("from", f"Input should lie in the years {YEARS[0]} to {YEARS[-1]}")
    if begin > last:
        raise refused("from", "Input should lie before `to`")
    if last + step - begin > settings.audience_max_days * DAY:
        raise refused("from", f"at most {settings.audience_max_days} days are read at once")
    return Range(begin, last + step)


def refused(name: str, reason: str) -> RequestValidationError:
    """A query parameter cannot be answered."""
    return RequestValidationError([{"type": "value_error", "loc": ("query", name), "msg": reason}])
