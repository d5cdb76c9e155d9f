"""Catalog reads: titles, one title, and a series' episodes. Postgres table catalog_titles."""

from datetime import datetime
from typing import Annotated, Final, Literal

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from infra.authentication import principal
from infra.openapi import replies
from infra.problems import ProblemKind, Refusal
from query_api.dependencies import EVERY_PAGE, EVERY_VIEW, From, Page, Positions, SeriesId, TitleId
from query_api.paging import Listing, scope_of

TOPIC: Final = "catalog.events"
SEASON_MAX: Final = 2**31 - 1

Kind = Literal["movie", "series", "episode"]
KINDS: Final[list[Kind]] = ["movie", "series", "episode"]


class TitleUnknown(Refusal):
    """The catalog has no such title or series."""


TITLE_UNKNOWN = ProblemKind(404, "title-unknown", "The catalog has no such title")

TITLES: Final = """
    select * from catalog_titles
    where kind = any($1)
      and (published_at, title_id) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
    order by published_at desc, title_id desc limit $4
"""
TITLE: Final = "select * from catalog_titles where title_id = $1"
EPISODES: Final = """
    select * from catalog_titles
    where series_id = $1 and kind = 'episode' and ($2::bigint is null or season_number = $2)
      and (season_number, episode_number, title_id) > (coalesce($3, -1), coalesce($4, -1), coalesce($5, ''))
    order by season_number, episode_number, title_id limit $6
"""

EXAMPLE: Final = {
    "title_id": "made-up-s1e1",
    "kind": "episode",
    "name": "The First Evening",
    "synopsis": "Everyone arrives.",
    "duration_ms": 1_500_000,
    "credits_start_ms": 1_440_000,
    "maturity": {"system": "KMRB", "value": "12", "minimum_age": 12},
    "availability": [{"territories": ["KR", "US"], "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}],
    "series_id": "made-up",
    "series_name": "Made Up",
    "season_number": 1,
    "episode_number": 1,
    "seasons": [],
    "published_at": "2026-01-01T09:00:00Z",
}
PAGE_EXAMPLE: Final = {"items": [EXAMPLE], "next_cursor": None}


class Maturity(BaseModel):
    """A rating as its board gave it, and the age it stands for."""

    system: str
    value: str
    minimum_age: int


class Availability(BaseModel):
    """When a title may be played in some territories (ISO 3166-1 alpha-2); null is an open end."""

    territories: list[str]
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class Season(BaseModel):
    """A season of a series; 0 holds specials."""

    number: int
    name: str


class Title(BaseModel):
    """A film, a series (its title_id is its series_id) or an episode. Only a series has seasons, only what is played
    has a duration.
    """

    title_id: str
    kind: Kind
    name: str
    synopsis: str
    duration_ms: int | None
    credits_start_ms: int | None
    maturity: Maturity
    availability: list[Availability]
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    seasons: list[Season]
    published_at: datetime


class TitlePage(BaseModel):
    """Titles; `next_cursor` is null at the end."""

    items: list[Title]
    next_cursor: str | None


class AfterTitle(msgspec.Struct):
    """The last title of a page: newest first."""

    published_at: datetime
    title_id: str


class AfterEpisode(msgspec.Struct):
    """The last episode of a page: as they are watched."""

    season_number: int
    episode_number: int
    title_id: str


routes = APIRouter(prefix="/v1/catalog", tags=["catalog"], dependencies=[Depends(principal)])


@routes.get("/titles", responses=replies(PAGE_EXAMPLE, *EVERY_VIEW, *EVERY_PAGE))
async def read_titles(
    sources: From,
    page: Page,
    positions: Positions,
    kind: Annotated[Kind | None, Query(description="Only this kind")] = None,
) -> TitlePage:
    """What the catalog holds, newest first."""
    listing = Listing(sources.cursors, scope_of("catalog_titles", kind), AfterTitle)
    after = listing.after(page.cursor)
    at, title_id = (after.published_at, after.title_id) if after else (None, None)
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        rows = await pool.fetch(TITLES, [kind] if kind else KINDS, at, title_id, page.limit + 1)
    shown, next_cursor = listing.page(rows, page.limit, lambda row: AfterTitle(row["published_at"], row["title_id"]))
    return TitlePage(items=[_title(row) for row in shown], next_cursor=next_cursor)


@routes.get("/titles/{title_id}", responses=replies(EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN))
async def read_title(sources: From, title_id: TitleId, positions: Positions) -> Title:
    """One film, series or episode."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        row = await pool.fetchrow(TITLE, title_id)
    if row is None:
        raise TitleUnknown(f"The catalog has no title {title_id!r}.")
    return _title(row)


@routes.get("/series/{series_id}/episodes", responses=replies(PAGE_EXAMPLE, *EVERY_VIEW, *EVERY_PAGE, TITLE_UNKNOWN))
async def read_episodes(
    sources: From,
    series_id: SeriesId,
    page: Page,
    positions: Positions,
    season_number: Annotated[int | None, Query(ge=0, le=SEASON_MAX, description="Only this season")] = None,
) -> TitlePage:
    """A series' episodes, by season and episode number."""
    listing = Listing(sources.cursors, scope_of("series_episodes", series_id, season_number), AfterEpisode)
    after = listing.after(page.cursor)
    place = (after.season_number, after.episode_number, after.title_id) if after else (None, None, None)
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres.use() as pool:
        rows = await pool.fetch(EPISODES, series_id, season_number, *place, page.limit + 1)
        if not rows and after is None and await pool.fetchrow(TITLE, series_id) is None:
            raise TitleUnknown(f"The catalog has no series {series_id!r}.")
    shown, next_cursor = listing.page(rows, page.limit, _after_episode)
    return TitlePage(items=[_title(row) for row in shown], next_cursor=next_cursor)


def _after_episode(row: asyncpg.Record) -> AfterEpisode:
    return AfterEpisode(row["season_number"], row["episode_number"], row["title_id"])


def _title(row: asyncpg.Record) -> Title:
    maturity = {name: row[f"maturity_{name}"] for name in ("system", "value")} | {"minimum_age": row["minimum_age"]}
    lists = {name: msgspec.json.decode(row[name] or "[]") for name in ("availability", "seasons")}
    return Title.model_validate({**row, **lists, "maturity": maturity})
