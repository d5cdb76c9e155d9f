"""What viewers are shown of what others watch: popular titles, and those that rise against their own past. Postgres
tables of windows.py, catalog_titles and catalog_windows. An episode counts for its series.

How often is for analysts: viewers are told the order alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.clock import utc_now
from query_api.audience import TOPIC
from query_api.audience.windows import started
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC as CATALOG
from query_api.catalog.cards import CARD_EXAMPLE, COLUMNS, FROM, IN_LANGUAGES, Card, TitleCard, card_values, texts_of
from query_api.catalog.filters import AnyTerritory, Playable, Statement, What, add_open, add_what, what
from query_api.catalog.locales import Languages, Locales
from query_api.dependencies import EVERY_VIEW, READER, From, Limit, Positions, ReadSettings
from query_api.tables import asking
from query_api.tables.ranges import refused
from query_api.tables.table import Projected, Table

OF_SHOWN: Final = """
    select coalesce(e.series_id, started.title_id) as title_id, {sums}
    from ({started}) as started left join catalog_titles as e on e.title_id = started.title_id
    group by 1
"""
DAY_HOURS: Final = 24
WEEK_BEFORE_HOURS: Final = DAY_HOURS + 7 * DAY_HOURS
STARTS: Final = "sum(starts) as score"
LATELY_AND_USUALLY: Final = "sum(lately) as lately, (sum(whole) - sum(lately)) / 7.0 as usually"
RISING: Final = """
    select title_id, (lately - usually) / sqrt(usually + 1) as score from ({shown}) as shown
    where lately >= {least} and lately > usually
"""
"""How much more a day had than the mean of the seven before it, in standard deviations of a Poisson process of that
mean; 1 more, so that what is new does not rise without bounds (Hendrickson and others, "Trend Detection in Social
Data", 2015).
"""
RANKED: Final = f"""
    with ranked as ({{ranked}})
    select {COLUMNS} from ranked join ({FROM}) on t.title_id = ranked.title_id
    where {{conditions}} order by ranked.score desc, t.title_id limit {{limit}}
"""

OF_TITLES: Final = Kept((TOPIC, CATALOG), (Turn.HOUR, Turn.WINDOWS), shared=True)

EXAMPLE: Final[dict[str, Any]] = {"items": [{**CARD_EXAMPLE, "rank": 1}]}


class RankedTitle(TitleCard):
    """A title and its place, from 1."""

    rank: int


class RankedTitles(BaseModel):
    """Titles, the first first."""

    items: list[RankedTitle]


class Ranked(Card, kw_only=True):
    """See RankedTitle."""

    rank: int


class Ranking(msgspec.Struct):
    """See RankedTitles."""

    items: list[Ranked]


@dataclass(frozen=True)
class Asked:
    """What a ranking is of: titles of a kind, genre and so on, and the country in which they are watched and playable
    (None: everywhere).
    """

    what: What
    territory: str | None
    limit: int


async def asked_ranking(what_: Annotated[What, Depends(what)], limit: Limit, territory: AnyTerritory = None) -> Asked:
    """The ranking that a request asks for."""
    return Asked(what_, territory, limit)


async def asked_hours(
    settings: ReadSettings,
    hours: Annotated[
        int | None, Query(ge=1, description="The hour that runs, and those before it", examples=[24])
    ] = None,
) -> int:
    """How many hours are counted. Raises RequestValidationError."""
    if hours is None:
        return min(settings.popular_default_hours, settings.popular_max_hours)
    if hours > settings.popular_max_hours:
        raise refused("hours", f"Input should be less than or equal to {settings.popular_max_hours}")
    return hours


TABLE: Final = Table(RankedTitle, name="ranking")

routes = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[READER])


@routes.get("/popular", response_model=RankedTitles | Projected, responses=TABLE.replies(EXAMPLE, *EVERY_VIEW))
@kept(OF_TITLES)
async def read_popular(
    sources: From,
    positions: Positions,
    locales: Languages,
    asked: Annotated[Asked, Depends(asked_ranking)],
    hours: Annotated[int, Depends(asked_hours)],
    shown: Annotated[asking.Asked, Depends(asking.asked(TABLE))],
) -> Response:
    """What was started most in the last hours, of a genre or in a country too; a series by its episodes."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        sql, values = popular(asked, hours, utc_now())
        return shown.reply(_ranking(await pool.fetch(sql, *values), locales), IN_LANGUAGES)


@routes.get("/trending", response_model=RankedTitles | Projected, responses=TABLE.replies(EXAMPLE, *EVERY_VIEW))
@kept(OF_TITLES)
async def read_trending(
    sources: From,
    positions: Positions,
    locales: Languages,
    asked: Annotated[Asked, Depends(asked_ranking)],
    shown: Annotated[asking.Asked, Depends(asking.asked(TABLE))],
) -> Response:
    """What was started more in the last 24 hours than it was a day in the week before, most unusual first."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        sql, values = trending(asked, shown.settings.trending_min_starts, utc_now())
        return shown.reply(_ranking(await pool.fetch(sql, *values), locales), IN_LANGUAGES)


def popular(asked: Asked, hours: int, now: datetime) -> tuple[str, list[object]]:
    """The SQL of the most started titles, and its values."""
    statement = Statement()
    counted = started(statement, {"starts": hours}, now, territory=asked.territory)
    return _ranked(statement, asked, OF_SHOWN.format(sums=STARTS, started=counted), now)


def trending(asked: Asked, least: int, now: datetime) -> tuple[str, list[object]]:
    """The SQL of the titles that rise, and its values; `least`: how often they were started in 24 hours."""
    statement = Statement()
    windows = {"lately": DAY_HOURS, "whole": WEEK_BEFORE_HOURS}
    counted = started(statement, windows, now, territory=asked.territory)
    shown = OF_SHOWN.format(sums=LATELY_AND_USUALLY, started=counted)
    return _ranked(statement, asked, RISING.format(shown=shown, least=f"{statement.bind(least)}::bigint"), now)


def _ranked(statement: Statement, asked: Asked, ranked: str, now: datetime) -> tuple[str, list[object]]:
    add_what(statement, asked.what)
    add_open(statement, Playable(territory=asked.territory), now)
    conditions, limit = " and ".join(statement.conditions), statement.bind(asked.limit)
    return RANKED.format(ranked=ranked, conditions=conditions, limit=limit), statement.values


def _ranking(rows: Sequence[asyncpg.Record], locales: Locales) -> Ranking:
    return Ranking(
        [
            Ranked(**card_values(row, locales, locales.choose(texts_of(row), row["default_locale"])), rank=rank)
            for rank, row in enumerate(rows, start=1)
        ]
    )
