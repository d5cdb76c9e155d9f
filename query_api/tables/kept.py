"""What is not kept any more is not answered as if nothing had happened then."""

from datetime import datetime, timedelta

from infra.clock import utc_now
from query_api.tables.ranges import refused


def check_kept(begin: datetime, days: int, what: str) -> None:
    """Raises RequestValidationError unless rows are kept from `begin` on. `what`: the rows, for whoever reads why."""
    if begin < utc_now() - timedelta(days=days):
        raise refused("from", f"{what} are kept for {days} days: ask for a later time")
