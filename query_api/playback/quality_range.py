"""The minutes, hours or days that a question about quality is over."""

from typing import Annotated

from fastapi import Query

from query_api.dependencies import ReadSettings
from query_api.tables.kept import check_kept
from query_api.tables.ranges import MINUTE, AskedSpan, AskedZone, Interval, Most, Range, cut

__all__ = ["MINUTE", "Interval", "Range", "asked_range"]


async def asked_range(
    settings: ReadSettings,
    span: AskedSpan,
    zone: AskedZone,
    interval: Annotated[Interval, Query(description="How long each row is over", examples=["minute"])] = Interval.HOUR,
) -> Range:
    """The intervals that a request asks for. Raises RequestValidationError."""
    over = cut(span, interval, zone, Most(settings.quality_max_intervals, settings.quality_default_intervals))
    if over.is_of_hours:
        check_kept(over.begin, settings.hours_kept_days, "hours")
    else:
        check_kept(over.begin, settings.minutes_kept_days, "minutes")
    return over
