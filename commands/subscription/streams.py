"""Streams read without a lock: for what is only looked at, such as the plan that a subscription copies."""

from typing import Protocol, TypeVar

from commands.decider import Decider
from events.envelope import Event, Recorded
from events.registry import REGISTRY
from infra.postgres import Pool

C = TypeVar("C")
S = TypeVar("S")


class Streams(Protocol):
    """Where streams are read."""

    async def events_of(self, stream_id: str) -> list[Recorded[Event]]:
        """A stream's events in order."""
        ...


class PostgresStreams:
    """The event log in Postgres."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def events_of(self, stream_id: str) -> list[Recorded[Event]]:
        """See Streams."""
        rows = await self._pool.fetch("select body from event_log where stream_id = $1 order by version", stream_id)
        return [REGISTRY.decode(row["body"]) for row in rows]


async def state_of(streams: Streams, stream_id: str, decider: Decider[C, S]) -> S:
    """What a stream adds up to."""
    events = await streams.events_of(stream_id)
    return decider.state_after((recorded.data for recorded in events), decider.initial)
