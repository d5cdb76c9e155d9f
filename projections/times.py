"""Instants as the stores number them."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)


def microseconds(at: datetime) -> int:
    """Since 1970, exactly: a float of seconds would round."""
    return (at - _EPOCH) // _MICROSECOND


def milliseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - _EPOCH) // _MILLISECOND


def minute_of(at: datetime) -> datetime:
    """The beginning of its minute, in UTC."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def hour_of(at: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return minute_of(at).replace(minute=0)


def day_of(at: datetime) -> datetime:
    """The beginning of its day, in UTC."""
    return hour_of(at).replace(hour=0)


def month_of(at: datetime) -> str:
    """YYYY-MM, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m")
