"""The event log in Postgres: where handle contexts decide. Positions are gapless and hash-chained in each partition."""

from infra.settings import Settings


async def create_partitions(settings: Settings) -> None:
    """Placeholder while the log is being written."""
