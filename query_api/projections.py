"""How far the projections are behind, for operators and their dashboards: the one place to look at when a view seems
old.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import asyncpg
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from infra.access.permissions import Principal
from infra.http.openapi import replies
from infra.settings import Settings
from query_api.dependencies import EVERY_READ, From, Operator, ReadSettings
from query_api.progress import Progress, ProgressReader, ProjectionProgress, TopicProgress
from query_api.rebuild_states import REBUILD_EXAMPLE, REBUILDS, REBUILDS_MAX, RebuildState, rebuild_state
from query_api.sources import Sources
from query_api.stores import StoreUnavailable

DEAD_LETTERS_COUNTED_MAX: Final = 10_000
OPEN_LETTERS: Final = """
    select projection, count(*) as open
    from (
        select projection from dead_letters left join operations_dead_letter_decisions as decided using (letter_id)
        where applied_attempt is null and not coalesce(decided.is_discarded, false) limit $1
    ) as letters group by projection
"""

EXAMPLE: Final = {
    "as_of": "2026-01-01T20:15:30Z",
    "kafka": None,
    "items": [
        {
            "projection": "redis",
            "ready": True,
            "reason": None,
            "lag_records": 3,
            "freshness_s": 0.04,
            "records_per_s": 1250.0,
            "dead_letters_open": 0,
            "rebuilds": [REBUILD_EXAMPLE],
            "topics": [
                {"topic": "playback.events", "lag_records": 3, "freshness_s": 0.04, "checkpoint_age_s": 0.02},
            ],
        }
    ],
}


class TopicState(BaseModel):
    """How far a projection is in a topic. `freshness_s`: all that Kafka got longer ago than this is in the views; 0
    when all is, null when Kafka did not tell. `checkpoint_age_s`: since something of it was applied; null
    before anything was.
    """

    topic: str
    lag_records: int | None
    freshness_s: float | None
    checkpoint_age_s: float | None


class ProjectionState(BaseModel):
    """How far the projection of a store is, and with it every view there. Not `ready`, with the `reason`: its store
    cannot be asked, or what it has to apply next waits for longer than PLAYHEAD_STUCK_AFTER_S and nothing was applied
    since. `dead_letters_open` and `rebuilds` are null while Postgres is away, and at most 10,000 letters of all
    projections are counted. `records_per_s`: applied in the last PLAYHEAD_PROGRESS_PACE_S, null at the first look.
    """

    projection: str
    ready: bool
    reason: str | None
    lag_records: int | None
    freshness_s: float | None
    records_per_s: float | None
    dead_letters_open: int | None
    rebuilds: list[RebuildState] | None
    topics: list[TopicState]


class ProjectionStates(BaseModel):
    """All projections. `kafka`: why Kafka cannot be asked, null when it can; without it nobody knows the lag."""

    as_of: datetime
    kafka: str | None
    items: list[ProjectionState]


def _reader(request: Request) -> ProgressReader:
    reader: ProgressReader = request.app.state.progress
    return reader


routes = APIRouter(prefix="/v1/projections", tags=["operations"])


@routes.get("", responses=replies(EXAMPLE, *EVERY_READ))
async def read_projections(
    operator: Operator, sources: From, settings: ReadSettings, reader: Annotated[ProgressReader, Depends(_reader)]
) -> ProjectionStates:
    """How far every projection is. A store or Kafka being away is in the reply, which is 200 all the same."""
    return await read_states(operator, sources, settings, reader)


async def read_states(
    operator: Principal, sources: Sources, settings: Settings, reader: ProgressReader
) -> ProjectionStates:
    """How far every projection is; what cannot be asked is told in the result."""
    progress = await reader.read()
    known: InPostgres | None = None
    try:
        async with sources.postgres_as(operator) as connection:
            letters = await connection.fetch(OPEN_LETTERS, DEAD_LETTERS_COUNTED_MAX)
            known = InPostgres(letters, await connection.fetch(REBUILDS, REBUILDS_MAX))
    except StoreUnavailable:
        pass  # told as null
    states = [_state(each, progress, known, settings.stuck_after_s) for each in progress.projections]
    return ProjectionStates(as_of=progress.at, kafka=progress.kafka_trouble, items=states)


class InPostgres:
    """What Postgres knows of every projection: its open letters, and the rebuilds of its views."""

    def __init__(self, letters: Sequence[asyncpg.Record], rebuilds: Sequence[asyncpg.Record]) -> None:
        self._letters = {str(row["projection"]): int(row["open"]) for row in letters}
        self._rebuilds = rebuilds

    def letters(self, projection: str) -> int:
        """How many wait for a decision."""
        return self._letters.get(projection, 0)

    def rebuilds(self, projection: str) -> list[RebuildState]:
        """In the order of the views."""
        return [rebuild_state(row) for row in self._rebuilds if row["store"] == projection]


def _state(
    one: ProjectionProgress, progress: Progress, known: InPostgres | None, stuck_after_s: float
) -> ProjectionState:
    topics = [_topic(topic, progress.at) for topic in one.topics]
    is_known = one.trouble is None and progress.kafka_trouble is None
    fresh = [topic.freshness_s for topic in topics if topic.freshness_s is not None]
    reason = one.trouble or progress.kafka_trouble or _stuck(topics, stuck_after_s)
    return ProjectionState(
        projection=one.projection,
        ready=reason is None,
        reason=reason,
        lag_records=sum(topic.lag_records or 0 for topic in topics) if is_known else None,
        freshness_s=max(fresh, default=None),
        records_per_s=None if one.records_per_s is None else round(one.records_per_s, 1),
        dead_letters_open=None if known is None else known.letters(one.projection),
        rebuilds=None if known is None else known.rebuilds(one.projection),
        topics=topics,
    )


def _topic(topic: TopicProgress, now: datetime) -> TopicState:
    freshness_s = 0.0 if topic.lag_records == 0 else _age_s(topic.waits_since, now)
    return TopicState(
        topic=topic.topic,
        lag_records=topic.lag_records,
        freshness_s=freshness_s,
        checkpoint_age_s=_age_s(topic.moved_at, now),
    )


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max((now - at).total_seconds(), 0.0)


def _stuck(topics: list[TopicState], stuck_after_s: float) -> str | None:
    """Why a projection is stuck. A checkpoint's age alone says nothing: nothing may have come for long."""
    for topic in topics:
        waits_s, age_s = topic.freshness_s or 0.0, topic.checkpoint_age_s
        if waits_s > stuck_after_s and (age_s is None or age_s > stuck_after_s):
            return f"{topic.topic}: {topic.lag_records} records behind, the oldest for {waits_s:.0f} s"
    return None
