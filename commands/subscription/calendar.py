"""Calendar arithmetic of billing: pure, in the subscriber's time zone, results in UTC.

Every boundary is counted from the anchor, never from the boundary before: 31 January -> 28 February -> 31 March.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from commands.subscription.refusals import TimeZoneUnknown


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone of a name. Raises TimeZoneUnknown."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneUnknown(f"{name!r} is no time zone; take one such as Europe/Amsterdam or Asia/Seoul") from error


def months_after(anchor: datetime, months: int, time_zone: str) -> datetime:
    """The same day and local time so many calendar months later; a day that the month lacks is its last.

    A local time that the clocks skip is as long after the skip as it would have been after its start; one that comes
    twice is the first.
    """
    local = anchor.astimezone(zone_of(time_zone))
    year, month0 = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month0 + 1)[1])
    return local.replace(year=year, month=month0 + 1, day=day, fold=0).astimezone(UTC)


def days_after(anchor: datetime, days: int, time_zone: str) -> datetime:
    """The same local time so many calendar days later."""
    local = anchor.astimezone(zone_of(time_zone))
    return (local + timedelta(days=days)).replace(fold=0).astimezone(UTC)
