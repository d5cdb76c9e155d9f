"""Moments as requests give them, of any time zone, in both APIs."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError for one that has no year there: 0001-01-01T00:00:00+14:00 is before all of them."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside of the years 1 to 9999 in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""In UTC, as events and tables hold them. A naive one is refused: nobody could tell when it is."""
