"""What the event log has of a topic, beyond what Kafka has of it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import asyncpg

from audits.history.chunks import Rows
from audits.history.events import microseconds_of
from audits.sources import LOG_AWAY, Source, SourceAway
from infra.postgres import Pool

HEADS: Final = "select partition, position from partition_head order by partition"
RELAYED: Final = "select partition, position from relay_lease order by partition"
READ: Final = """
    select position, stream_id, recorded_at, case when $5::text[] is null or stream_id = any($5) then body end as body
    from event_log where partition = $1 and position > $2 and position <= $3 and starts_with(type, $4)
    order by position limit $6
"""
"""All rows, so that the time of history is right, and the bodies of those alone that can be asked for."""


class FromLog:
    """Reads the event log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def heads(self) -> dict[int, int]:
        """The last position of each partition. Raises SourceAway."""
        return {row["partition"]: row["position"] for row in await self._fetch(HEADS)}

    async def relayed(self) -> dict[int, int]:
        """The position of each partition up to which Kafka has acknowledged all. Raises SourceAway."""
        return {row["partition"]: row["position"] for row in await self._fetch(RELAYED)}

    async def rows(
        self,
        partition: tuple[str, int],
        between: tuple[int, int],
        *,
        last_us: int | None,
        streams: list[str] | None,
        most: int,
    ) -> AsyncIterator[Rows]:
        """Events of a topic after a position, up to one, at most so many at a time; of some streams (None: of all).
        Raises SourceAway.
        """
        topic, number = partition
        after, until = between
        context = f"{topic.partition('.')[0]}."
        while after < until:
            found = await self._fetch(READ, number, after, until, context, streams, most)
            if not found:
                return
            after = found[-1]["position"]
            rows = rows_of(found, last_us)
            last_us = rows.times[-1] if rows.times else last_us
            yield rows.only([place for place, body in enumerate(rows.values) if body is not None])

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            rows: list[asyncpg.Record] = await self._pool.fetch(query, *arguments)
        except LOG_AWAY as error:
            raise SourceAway.of(Source.LOG, error) from error
        return rows


def rows_of(found: list[asyncpg.Record], last_us: int | None) -> Rows:
    """The log's rows, in the time of history that they will have when they are relayed."""
    times, time_us = [], last_us
    for row in found:
        recorded_at: datetime = row["recorded_at"]
        told = microseconds_of(recorded_at)
        time_us = told if time_us is None or told > time_us else time_us
        times.append(time_us)
    return Rows(
        source=Source.LOG,
        offsets=[None] * len(found),
        positions=[row["position"] for row in found],
        times=times,
        keys=[row["stream_id"].encode() for row in found],
        values=[row["body"] for row in found],
    )
