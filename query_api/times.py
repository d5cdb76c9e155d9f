"""Times as Cassandra's driver returns them: UTC, and naive."""

from datetime import UTC, datetime


def as_utc(moment: datetime) -> datetime:
    """The same moment, aware."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
