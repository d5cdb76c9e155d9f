"""How many watch a title: now (Postgres table playback_sessions) and by the minute (Cassandra table title_viewers).

A viewer is a session whose player has reported, by CMCD or otherwise; two devices of one profile are two.
Now: it was heard of within two leases, and is neither paused nor a download: waiting for data counts, as by Mux's
"current concurrent viewers".
In a minute: it reported in it by its corrected clock, other than to say that it left, as by Bitmovin; a player that
goes on with heartbeats while it is paused is counted there, since a heartbeat does not say what the player does.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from infra.access.authentication import Needs
from infra.access.permissions import Principal, Scope
from infra.clock import utc_now
from query_api.catalog.unknown import TITLE_UNKNOWN, TitleUnknown
from query_api.dependencies import EVERY_VIEW, From, Positions, ReadSettings, TitleId
from query_api.drivers import Cql
from query_api.playback import TOPIC
from query_api.playback.streams import heard_of_within
from query_api.tables import asking
from query_api.tables.ranges import UTC_ZONE, AskedSpan, AskedZone, Interval, Most, Range, cut
from query_api.tables.table import Projected, Table
from query_api.times import as_utc

SHARDS: Final = 16
"""As many as projections/playback/title_viewers.py writes."""

WATCHING: Final = """
    exit_reason is null and not offline and state <> 'paused' and (last_seq >= 0 or cmcd_count > 0)
"""
"""Sessions that were watching when they were heard of last."""
NOW: Final = f"select count(*) from playback_sessions where title_id = $1 and {WATCHING} and last_recorded_at > $2"
EXISTS: Final = "select exists (select from catalog_titles where title_id = $1)"
BY_MINUTE: Final = """
    select minute, count(*) as viewers from title_viewers
    where title_id = ? and hour = ? and shard = ? and minute >= ? and minute < ?
    group by title_id, hour, shard, minute
"""

EXAMPLE: Final = {
    "title_id": "made-up-s1e1",
    "now": 1_204,
    "minutes": [
        {"minute": "2026-01-01T20:14:00Z", "viewers": 1_187},
        {"minute": "2026-01-01T20:15:00Z", "viewers": 1_210},
    ],
}


class ViewersOfMinute(BaseModel):
    """How many sessions watched in a minute, which begins at `minute`. The one that runs is not counted to its end."""

    minute: datetime
    viewers: int


class Viewers(BaseModel):
    """How many watch a title: `now`, and in each minute of the range, in order."""

    title_id: str
    now: int
    minutes: list[ViewersOfMinute]


Analyst = Annotated[Principal, Depends(Needs(Scope.PLAYBACK_READ))]


async def asked_range(settings: ReadSettings, span: AskedSpan, zone: AskedZone) -> Range:
    """The minutes that a request asks for; by default the last settings.viewers_default_minutes. Raises
    RequestValidationError.
    """
    most = Most(settings.viewers_max_minutes, settings.viewers_default_minutes)
    return replace(cut(span, Interval.MINUTE, UTC_ZONE, most), zone=zone)


TABLE: Final = Table(ViewersOfMinute, name="viewers", rows="minutes")

routes = APIRouter(tags=["playback"])


@routes.get(
    "/v1/titles/{title_id}/viewers",
    response_model=Viewers | Projected,
    responses=TABLE.replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN),
)
async def read_viewers(
    caller: Analyst,
    title_id: TitleId,
    sources: From,
    shown: Annotated[asking.Asked, Depends(asking.asked(TABLE))],
    asked: Annotated[Range, Depends(asked_range)],
    positions: Positions,
) -> Response:
    """How many watch a title now, and how many watched it in each minute of a range."""
    await asyncio.gather(
        sources.postgres_checkpoint.reached(TOPIC, positions), sources.cassandra_checkpoint.reached(TOPIC, positions)
    )
    async with sources.postgres_as(caller) as connection:
        now = await connection.fetchval(NOW, title_id, utc_now() - heard_of_within(shown.settings))
        exists = now > 0 or await connection.fetchval(EXISTS, title_id)
    if not exists:
        raise TitleUnknown(f"The catalog has no title {title_id!r}.")
    async with sources.cassandra.use() as cql:
        counted = await _counted(cql, title_id, asked, shown.settings.viewers_read_max_concurrency)
    minutes = [ViewersOfMinute(minute=asked.local(minute), viewers=counted[minute]) for minute in asked.begins]
    return shown.reply(Viewers(title_id=title_id, now=now, minutes=minutes))


async def _counted(cql: Cql, title_id: str, asked: Range, at_once: int) -> Counter[datetime]:
    """Viewers by minute; a session is in one shard, so that shards are added up."""
    counted: Counter[datetime] = Counter()
    left = _partitions(asked)

    async def read() -> None:
        for hour, shard in left:
            for row in await cql.rows(BY_MINUTE, title_id, hour, shard, asked.begin, asked.end):
                counted[as_utc(row["minute"])] += row["viewers"]

    await asyncio.gather(*(read() for _ in range(at_once)))
    return counted


def _partitions(asked: Range) -> Iterator[tuple[datetime, int]]:
    hours = dict.fromkeys(minute.replace(minute=0) for minute in asked.begins)
    return ((hour, shard) for hour in hours for shard in range(SHARDS))
