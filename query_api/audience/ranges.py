"""Which time a question about an audience is over: rows are of whole hours, UTC, and are shown by hour or by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from fastapi import Query

from infra.settings import Settings
from query_api.dependencies import ReadSettings
from query_api.tables import ranges
from query_api.tables.kept import check_kept
from query_api.tables.ranges import DAY, HOUR, UTC_ZONE, AskedSpan, AskedZone, Most, cut

__all__ = ["DAY", "HOUR", "Buckets", "Interval", "Range", "asked_buckets", "asked_days", "day_of", "hour_of"]

Interval: TypeAlias = Literal["hour", "day"]

HOURS_A_DAY: Final = 24


class Range(NamedTuple):
    """From a moment to before another."""

    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Buckets:
    """Hours (UTC) or days of a zone, in which times are shown. An hour belongs to the day in which it begins."""

    over: ranges.Range
    interval: Interval
    zone: ZoneInfo

    @property
    def range(self) -> Range:
        """The whole of them."""
        return Range(self.over.begin, self.over.end)

    def of(self, hour: datetime) -> datetime:
        """When the bucket that an hour is in begins, in UTC: there no two hours of a day are called the same."""
        return self.over.of(hour)

    def __iter__(self) -> Iterator[datetime]:
        return iter(self.over.begins)


async def asked_buckets(
    settings: ReadSettings,
    span: AskedSpan,
    zone: AskedZone,
    interval: Annotated[Interval, Query(description="How long each row is over", examples=["hour"])] = "day",
) -> Buckets:
    """The hours or days that a request asks for; by default the last settings.audience_default_days. Raises
    RequestValidationError.
    """
    if interval == "day":
        over = cut(span, ranges.Interval.DAY, zone, _days(settings))
    else:
        default = settings.audience_default_days * HOURS_A_DAY
        most = Most(min(settings.audience_max_buckets, settings.audience_max_days * HOURS_A_DAY), default)
        over = cut(span, ranges.Interval.HOUR, UTC_ZONE, most)
    check_kept(over.begin, settings.hours_kept_days, "hours")
    return Buckets(over, interval, zone)


async def asked_days(settings: ReadSettings, span: AskedSpan) -> Range:
    """The days, UTC, that a request asks for; by default the last settings.audience_default_days. Raises
    RequestValidationError.
    """
    over = cut(span, ranges.Interval.DAY, UTC_ZONE, Most(settings.audience_max_days, settings.audience_default_days))
    return Range(over.begin, over.end)


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The beginning of its day, in UTC."""
    return hour_of(moment).replace(hour=0)


def _days(settings: Settings) -> Most:
    return Most(min(settings.audience_max_days, settings.audience_max_buckets), settings.audience_default_days)
