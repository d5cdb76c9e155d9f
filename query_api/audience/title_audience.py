"""How much a title is watched: in a range, and in each hour or day of it. Postgres tables title_audience_by_hour and,
for different profiles, title_profiles_by_day.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import asyncpg
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from infra.access.authentication import Needs
from infra.access.permissions import Scope
from infra.hyperloglog import STANDARD_ERROR, estimate, merged
from infra.postgres import Pool
from query_api.audience import TOPIC
from query_api.audience.ranges import DAY, Buckets, Interval, Range, asked_buckets, day_of
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC as CATALOG
from query_api.catalog.filters import AnyTerritory
from query_api.catalog.unknown import TITLE_UNKNOWN, TitleUnknown
from query_api.dependencies import EVERY_VIEW, From, Positions, TitleId
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

MS_AN_HOUR: Final = 3_600_000

EXISTS: Final = "select exists (select from catalog_titles where title_id = $1)"
BY_HOUR: Final = """
    select hour, sum(plays)::bigint as plays, sum(starts)::bigint as starts, sum(watched_ms)::bigint as watched_ms,
      sum(completions)::bigint as completions
    from title_audience_by_hour
    where title_id = $1 and hour >= $2 and hour < $3 and ($4::text is null or territory = $4)
    group by hour order by hour
"""
PROFILES: Final = "select registers from title_profiles_by_day where title_id = $1 and day >= $2 and day < $3"

EXAMPLE: Final[dict[str, Any]] = {
    "title_id": "made-up-s1e1",
    "from": "2026-01-01T00:00:00+09:00",
    "to": "2026-01-02T00:00:00+09:00",
    "interval": "day",
    "plays": 1_310,
    "starts": 1_204,
    "watched_hours": 702.4,
    "completion_rate": 0.61,
    "unique_profiles": {
        "estimate": 988,
        "standard_error": 0.023,
        "from": "2025-12-31T00:00:00Z",
        "to": "2026-01-02T00:00:00Z",
    },
    "peak_hour": {"begin": "2026-01-01T20:00:00+09:00", "starts": 212},
    "buckets": [
        {
            "begin": "2026-01-01T00:00:00+09:00",
            "plays": 1_310,
            "starts": 1_204,
            "watched_hours": 702.4,
            "completion_rate": 0.61,
        }
    ],
}


class Watched(BaseModel):
    """`plays`: sessions granted; `starts`: those that showed a frame; `completion_rate`: the share of starts that were
    watched to the end, null without any.
    """

    plays: int
    starts: int
    watched_hours: float
    completion_rate: float | None


class Bucket(Watched):
    """Of the sessions that started in an hour or a day, which begins at `begin`."""

    begin: datetime


class UniqueProfiles(BaseModel):
    """How many different profiles started the title on the whole days, UTC, that the range touches: an estimate, two in
    three times nearer than `standard_error` (a share of it).
    """

    estimate: int
    standard_error: float
    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")


class PeakHour(BaseModel):
    """The hour in which most sessions started; of several the first."""

    begin: datetime
    starts: int


class Audience(Watched):
    """How much a title is watched in a range. A session counts when it started, however long it lasts.
    `unique_profiles`: null of one territory, by which they are not counted.
    """

    title_id: str
    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    interval: Interval
    unique_profiles: UniqueProfiles | None
    peak_hour: PeakHour | None
    buckets: list[Bucket]


class Counted(NamedTuple):
    """What a row counts."""

    plays: int = 0
    starts: int = 0
    watched_ms: int = 0
    completions: int = 0


TABLE: Final = Table(Bucket, name="audience", rows="buckets")

routes = APIRouter(tags=["audience"], dependencies=[Depends(Needs(Scope.PLAYBACK_READ))])


@routes.get(
    "/v1/titles/{title_id}/audience",
    response_model=Audience | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN),
)
@kept(Kept((TOPIC, CATALOG), (Turn.MINUTE,), timeless_with="to"))
async def read_audience(
    title_id: TitleId,
    sources: From,
    positions: Positions,
    buckets: Annotated[Buckets, Depends(asked_buckets)],
    shown: Annotated[Asked, Depends(asked(TABLE))],
    territory: AnyTerritory = None,
) -> Response:
    """Starts, different profiles, hours watched, completion and the peak hour of a title; by hour or day."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        await check_title(pool, title_id)
        rows = await pool.fetch(BY_HOUR, title_id, *buckets.range, territory)
        profiles = None if territory else await _profiles(pool, title_id, buckets.range)
    begin, end = (moment.astimezone(buckets.zone) for moment in buckets.range)
    return shown.reply(
        Audience(
            **_shown(map(_counted, rows)),
            title_id=title_id,
            begin=begin,
            end=end,
            interval=buckets.interval,
            unique_profiles=profiles,
            peak_hour=_peak(rows, buckets),
            buckets=_by_bucket(rows, buckets),
        )
    )


async def check_title(pool: Pool, title_id: str) -> None:
    """Raises TitleUnknown."""
    if not await pool.fetchval(EXISTS, title_id):
        raise TitleUnknown(f"The catalog has no title {title_id!r}.")


async def _profiles(pool: Pool, title_id: str, asked: Range) -> UniqueProfiles:
    begin, end = day_of(asked.begin), day_of(asked.end - DAY / 24) + DAY
    rows = await pool.fetch(PROFILES, title_id, begin, end)
    counted = estimate(merged([row["registers"] for row in rows]))
    return UniqueProfiles(estimate=counted, standard_error=round(STANDARD_ERROR, 3), begin=begin, end=end)


def _counted(row: asyncpg.Record) -> Counted:
    return Counted(row["plays"], row["starts"], row["watched_ms"], row["completions"])


def _by_bucket(rows: Sequence[asyncpg.Record], buckets: Buckets) -> list[Bucket]:
    counted: defaultdict[datetime, list[Counted]] = defaultdict(list)
    for row in rows:
        counted[buckets.of(row["hour"])].append(_counted(row))
    return [Bucket(begin=begin.astimezone(buckets.zone), **_shown(counted[begin])) for begin in buckets]


def _peak(rows: Sequence[asyncpg.Record], buckets: Buckets) -> PeakHour | None:
    most = max(rows, key=lambda row: row["starts"], default=None)
    if most is None or not most["starts"]:
        return None
    return PeakHour(begin=most["hour"].astimezone(buckets.zone), starts=most["starts"])


def _shown(counted: Iterable[Counted]) -> dict[str, Any]:
    """The fields of Watched."""
    plays, starts, watched_ms, completions = Counted(*map(sum, zip(*counted, strict=True)))
    return {
        "plays": plays,
        "starts": starts,
        "watched_hours": round(watched_ms / MS_AN_HOUR, 3),
        "completion_rate": round(completions / starts, 4) if starts else None,
    }
