"""What can be played in a territory: now, and soon. Postgres tables catalog_windows and catalog_titles."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from infra.clock import utc_now
from query_api.caching.declared import Kept, Turn, kept
from query_api.catalog import TOPIC
from query_api.catalog.cards import (
    CARD_EXAMPLE,
    COLUMNS,
    FROM,
    IN_LANGUAGES,
    Card,
    Kind,
    Licence,
    TitleCard,
    card_values,
    texts_of,
)
from query_api.catalog.filters import Territory
from query_api.catalog.locales import Languages, Locales
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, READER, AskedPage, From, Positions
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 366

AVAILABLE_NOW: Final = f"""
    select {COLUMNS}, t.published_at as sort_key, offers.licences, offers.moment
    from {FROM} cross join lateral (
        select jsonb_agg(distinct w.licence) as licences, nullif(max(w.closes_at), 'infinity') as moment
        from catalog_windows as w
        where (w.title_id = t.title_id or w.series_id = t.title_id)
          and w.territory = $1 and w.opens_at <= $2 and w.closes_at > $2 and ($3::text is null or w.licence = $3)
    ) as offers
    where t.status = 'published' and offers.licences is not null and ($4::text is null or t.kind = $4)
      and (t.published_at, t.title_id) < (coalesce($5, 'infinity'::timestamptz), coalesce($6, ''))
    order by t.published_at desc, t.title_id desc limit $7
"""
COMING_SOON: Final = f"""
    with opening as (
        select w.title_id, min(w.opens_at) as opens_at, jsonb_agg(distinct w.licence) as licences
        from catalog_windows as w
        where w.territory = $1 and w.opens_at > $2 and w.opens_at <= $8 and ($3::text is null or w.licence = $3)
        group by w.title_id
    )
    select {COLUMNS}, opening.opens_at as sort_key, opening.licences, opening.opens_at as moment
    from opening join ({FROM}) on t.title_id = opening.title_id
    where t.status = 'published' and ($4::text is null or t.kind = $4)
      and (opening.opens_at, t.title_id) > (coalesce($5, '-infinity'::timestamptz), coalesce($6, ''))
      and not exists (
          select from catalog_windows as w where w.title_id = t.title_id and w.territory = $1
            and w.opens_at <= $2 and w.closes_at > $2 and ($3::text is null or w.licence = $3)
      )
    order by opening.opens_at, t.title_id limit $7
"""

NOW_EXAMPLE: Final[dict[str, Any]] = {**CARD_EXAMPLE, "licences": ["svod"], "until": None}
SOON_EXAMPLE: Final[dict[str, Any]] = {**CARD_EXAMPLE, "licences": ["svod"], "opens_at": "2026-02-01T00:00:00Z"}


class AvailableTitle(TitleCard):
    """A title that can be played now; `until`: when its last open window closes, null: never."""

    licences: list[Licence]
    until: datetime | None


class AvailablePage(BaseModel):
    """Titles, newest first; `next_cursor` is null at the end."""

    items: list[AvailableTitle]
    next_cursor: str | None


class ComingTitle(TitleCard):
    """A title that can be played soon."""

    licences: list[Licence]
    opens_at: datetime


class ComingPage(BaseModel):
    """Titles, the soonest first; `next_cursor` is null at the end."""

    items: list[ComingTitle]
    next_cursor: str | None


class Available(Card, kw_only=True):
    """See AvailableTitle."""

    licences: list[str]
    until: datetime | None


class Coming(Card, kw_only=True):
    """See ComingTitle."""

    licences: list[str]
    opens_at: datetime


class Titles(msgspec.Struct):
    """See AvailablePage, ComingPage."""

    items: list[Available] | list[Coming]
    next_cursor: str | None


class After(msgspec.Struct):
    """The last title of a page: when it was published, or opens."""

    moment: datetime
    title_id: str


class Asked:
    """What a request wants to know of which territory, and in which languages."""

    def __init__(
        self,
        territory: Territory,
        locales: Languages,
        kind: Annotated[Kind | None, Query(description="Only this kind", examples=["movie"])] = None,
        licence: Annotated[Licence | None, Query(description="Only under this licence", examples=["svod"])] = None,
    ) -> None:
        self.territory = territory
        self.locales = locales
        self.kind = kind
        self.licence = licence


NOW_TABLE: Final = Table(AvailableTitle, name="available-now")
SOON_TABLE: Final = Table(ComingTitle, name="coming-soon")

routes = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[READER])


@routes.get(
    "/available-now",
    response_model=AvailablePage | Projected,
    responses=NOW_TABLE.replies({"items": [NOW_EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE),
)
@kept(Kept((TOPIC,), (Turn.WINDOWS,), shared=True))
async def read_available_now(
    sources: From,
    shown_as: Annotated[AskedPages, Depends(asked_pages(NOW_TABLE))],
    positions: Positions,
    asked: Annotated[Asked, Depends()],
) -> Response:
    """What can be played in a territory now, newest first; a series, when an episode of it can."""
    pages = Listing(sources.cursors, _scope("available_now", asked), After)

    async def read(page: AskedPage) -> Titles:
        values = _values(asked, utc_now(), pages.after(page.cursor), page.limit + 1)
        async with sources.postgres.use() as pool:
            rows = await pool.fetch(AVAILABLE_NOW, *values)
        shown, next_cursor = pages.page(rows, page.limit, _after)
        items = [Available(**_values_of(row, asked.locales), until=row["moment"]) for row in shown]
        return Titles(items, next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await shown_as.read(read, IN_LANGUAGES)


@routes.get(
    "/coming-soon",
    response_model=ComingPage | Projected,
    responses=SOON_TABLE.replies({"items": [SOON_EXAMPLE], "next_cursor": None}, *EVERY_VIEW, *EVERY_PAGE),
)
async def read_coming_soon(
    sources: From,
    shown_as: Annotated[AskedPages, Depends(asked_pages(SOON_TABLE))],
    positions: Positions,
    asked: Annotated[Asked, Depends()],
    days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="How far ahead", examples=[14])] = DEFAULT_DAYS,
) -> Response:
    """What will open in a territory, the soonest first: published titles that cannot be played there yet."""
    pages = Listing(sources.cursors, _scope("coming_soon", asked, days), After)

    async def read(page: AskedPage) -> Titles:
        now = utc_now()
        values = _values(asked, now, pages.after(page.cursor), page.limit + 1)
        async with sources.postgres.use() as pool:
            rows = await pool.fetch(COMING_SOON, *values, now + timedelta(days=days))
        shown, next_cursor = pages.page(rows, page.limit, _after)
        items = [Coming(**_values_of(row, asked.locales), opens_at=row["moment"]) for row in shown]
        return Titles(items, next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await shown_as.read(read, IN_LANGUAGES)


def _scope(view: str, asked: Asked, days: int | None = None) -> str:
    return scope_of(view, asked.territory, asked.kind, asked.licence, days)


def _values(asked: Asked, now: datetime, after: After | None, limit: int) -> tuple[object, ...]:
    place = (after.moment, after.title_id) if after else (None, None)
    return (asked.territory, now, asked.licence, asked.kind, *place, limit)


def _values_of(row: asyncpg.Record, locales: Locales) -> dict[str, Any]:
    values = card_values(row, locales, locales.choose(texts_of(row), row["default_locale"]))
    return {**values, "licences": msgspec.json.decode(row["licences"])}


def _after(row: asyncpg.Record) -> After:
    return After(row["sort_key"], row["title_id"])
