"""Times as auditors write them: ISO 8601 with a zone, or a date, which begins when it begins in a zone."""

import re
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from audits.history.asked import BadQuestion

DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
HOW: Final = "write it as 2026-11-21T21:04:00+09:00, or as the date 2026-11-21, which begins at midnight in --zone"


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises BadQuestion."""
    if name not in available_timezones():
        raise BadQuestion(f"{name!r} is no name of the IANA time zones, such as Europe/Amsterdam")
    return ZoneInfo(name)


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A moment in UTC. Raises BadQuestion, for a time without a zone too: nobody could tell when it is."""
    try:
        if DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), zone).astimezone(UTC)
        told = datetime.fromisoformat(text)
        if told.tzinfo is None:
            raise BadQuestion(f"{text!r} has no zone; {HOW}")
        return told.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadQuestion):
            raise
        raise BadQuestion(f"{text!r} is no time; {HOW}") from error
