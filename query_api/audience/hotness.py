"""How hot titles are, by how often they were started lately. Postgres tables of windows.py."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import asyncpg
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.access.authentication import Needs
from infra.access.permissions import Scope
from infra.clock import utc_now
from infra.http.openapi import replies
from query_api.audience import TOPIC
from query_api.audience.title_audience import check_title
from query_api.audience.windows import started
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC as CATALOG
from query_api.catalog.filters import Statement
from query_api.catalog.unknown import TITLE_UNKNOWN
from query_api.dependencies import EVERY_VIEW, From, Limit, Positions, TitleId
from query_api.tables.asking import Asked, asked
from query_api.tables.table import Projected, Table

Tier: TypeAlias = Literal["hot", "warm", "cold"]

HOTTEST: Final = 100_000
"""The tenths of weighted views, 5 x 24 hours + 3 x 7 days + 2 x 30 days, from which a title is as hot as can be: whole
numbers, so that a tier begins exactly where it does.
"""
TIERS: Final[tuple[tuple[Tier, int], ...]] = (("hot", 80_000), ("warm", 50_000), ("cold", 0))

WINDOWS: Final = {"day": 24, "week": 7 * 24, "month": 30 * 24}
HOTTEST_FIRST: Final = """
    with weighed as (select *, 5 * day + 3 * week + 2 * month as weight from ({started}) as started)
    select weighed.*, t.name from weighed join catalog_titles as t using (title_id)
    where weight >= {least} and ({above} is null or weight < {above})
    order by weight desc, title_id limit {limit}
"""

NEVER: Final = dict.fromkeys(WINDOWS, 0)

BY_HOUR: Final = Kept((TOPIC, CATALOG), (Turn.HOUR,))

EXAMPLE: Final[dict[str, Any]] = {
    "title_id": "made-up-s1e1",
    "content_hotness": 0.8123,
    "tier": "hot",
    "views_24h": 6_105,
    "views_7d": 9_120,
    "views_30d": 11_672,
}


class Hotness(BaseModel):
    """`content_hotness` is min(1, (views_24h x 0.5 + views_7d x 0.3 + views_30d x 0.2) / 10000); hot from 0.8, warm
    from 0.5, else cold. A view is a session that showed a frame; the windows slide to the hour: the hour that runs, and
    the 23, 167 or 719 before it.
    """

    title_id: str
    content_hotness: float
    tier: Tier
    views_24h: int
    views_7d: int
    views_30d: int


class NamedHotness(Hotness):
    """With the title's name in its default language."""

    name: str


class HottestTitles(BaseModel):
    """Titles, the hottest first."""

    items: list[NamedHotness]


TABLE: Final = Table(NamedHotness, name="hotness")

routes = APIRouter(tags=["audience"], dependencies=[Depends(Needs(Scope.PLAYBACK_READ))])


@routes.get("/v1/titles/{title_id}/hotness", responses=replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN))
@kept(BY_HOUR)
async def read_hotness(title_id: TitleId, sources: From, positions: Positions) -> Hotness:
    """How hot a title is."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        await check_title(pool, title_id)
        statement = Statement()
        row = await pool.fetchrow(started(statement, WINDOWS, utc_now(), title_id=title_id), *statement.values)
    return Hotness(title_id=title_id, **_shown(row or NEVER))


@routes.get(
    "/v1/audience/hotness",
    response_model=HottestTitles | Projected,
    responses=TABLE.replies({"items": [{**EXAMPLE, "name": "The First Evening"}]}, *EVERY_VIEW),
)
@kept(BY_HOUR)
async def read_hottest(
    sources: From,
    limit: Limit,
    shown: Annotated[Asked, Depends(asked(TABLE))],
    positions: Positions,
    tier: Annotated[Tier | None, Query(description="Only titles of this tier", examples=["hot"])] = None,
) -> Response:
    """The titles that were started in the last 30 days, the hottest first."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        sql, values = hottest(tier, limit, utc_now())
        rows = await pool.fetch(sql, *values)
    items = [NamedHotness(title_id=row["title_id"], name=row["name"], **_shown(row)) for row in rows]
    return shown.reply(HottestTitles(items=items))


def hottest(tier: Tier | None, limit: int, now: datetime) -> tuple[str, list[object]]:
    """The SQL of the hottest titles, and its values."""
    statement = Statement()
    counted = started(statement, WINDOWS, now)
    least, above = (f"{statement.bind(weight)}::bigint" for weight in weights_of(tier))
    return HOTTEST_FIRST.format(
        started=counted, least=least, above=above, limit=statement.bind(limit)
    ), statement.values


def weight_of(day: int, week: int, month: int) -> int:
    """The views of the last 24 hours, 7 and 30 days, weighed, in tenths."""
    return 5 * day + 3 * week + 2 * month


def hotness_of(weight: int) -> float:
    """0 to 1."""
    return min(1.0, weight / HOTTEST)


def tier_of(weight: int) -> Tier:
    """The tier that a weight is in."""
    return next(tier for tier, least in TIERS if weight >= least)


def weights_of(tier: Tier | None) -> tuple[int, int | None]:
    """From which weight to below which a tier goes; None: all of them."""
    above: int | None = None
    for name, least in TIERS:
        if name == tier:
            return least, above
        above = least
    return 0, None


def _shown(row: asyncpg.Record | Mapping[str, int]) -> dict[str, Any]:
    weight = weight_of(row["day"], row["week"], row["month"])
    return {
        "content_hotness": hotness_of(weight),
        "tier": tier_of(weight),
        "views_24h": row["day"],
        "views_7d": row["week"],
        "views_30d": row["month"],
    }
