"""A series: its page with seasons and the viewer's next episode, and its episodes with the viewer's progress. Postgres
tables catalog_titles and playback_sessions.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from infra.http.openapi import replies
from query_api.catalog import TOPIC
from query_api.catalog.cards import (
    CARD_EXAMPLE,
    COLUMNS,
    FROM,
    IN_LANGUAGES,
    Card,
    TitleCard,
    card_values,
    reply,
    texts_of,
)
from query_api.catalog.locales import Languages, Locales
from query_api.catalog.progress import LATEST, PROGRESS, progress_values
from query_api.catalog.title_page import EXAMPLE as TITLE_EXAMPLE
from query_api.catalog.title_page import TITLE_COLUMNS, Season, SeasonModel, Title, Whole, seasons_of, title_page
from query_api.catalog.unknown import TITLE_UNKNOWN, TitleUnknown
from query_api.dependencies import (
    EVERY_PAGE,
    EVERY_VIEW,
    READER,
    AskedPage,
    Caller,
    From,
    Positions,
    ReadSettings,
    SeriesId,
)
from query_api.paging import Listing, scope_of
from query_api.tables.asking import AskedPages, asked_pages
from query_api.tables.table import Projected, Table

SEASON_MAX: Final = 2**31 - 1

SERIES: Final = f"""
    with latest as ({LATEST}),
    episodes as (
        select title_id, season_number, episode_number from catalog_titles
        where series_id = $2 and kind = 'episode' and status = 'published'
    ),
    following as (
        select episode.title_id from episodes as episode
        left join latest on true left join episodes as seen on seen.title_id = latest.title_id
        where latest.title_id is null
           or (not latest.completed and episode.title_id = latest.title_id)
           or (
               (latest.completed or seen.title_id is null)
               and (episode.season_number, episode.episode_number) > (
                   coalesce(seen.season_number, latest.season_number),
                   coalesce(seen.episode_number, latest.episode_number)
               )
           )
        order by latest.title_id is null and episode.season_number = 0, episode.season_number, episode.episode_number
        limit 1
    )
    select {TITLE_COLUMNS}, progress.position_ms, progress.completed, progress.watched_at, progress.completion,
        (select jsonb_object_agg(season_number, episode_count) from (
            select season_number, count(*) as episode_count from episodes group by season_number
        ) as counted) as episode_counts
    from {FROM} left join ({PROGRESS}) as progress on progress.title_id = t.title_id
    where t.status = 'published'
      and ((t.title_id = $2 and t.kind = 'series') or t.title_id = (select title_id from following))
    order by t.title_id = $2 desc
"""
"""The series, and the episode to watch next: what the viewer is in the middle of, or what follows what they completed;
for who watched nothing the first, specials last.
"""

EPISODES: Final = f"""
    select {COLUMNS}, progress.position_ms, progress.completed, progress.watched_at, progress.completion
    from {FROM} left join ({PROGRESS}) as progress on progress.title_id = t.title_id
    where t.series_id = $2 and t.kind = 'episode' and t.status = 'published'
      and ($6::bigint is null or t.season_number = $6)
      and (t.season_number, t.episode_number, t.title_id) > (coalesce($7, -1), coalesce($8, -1), coalesce($9, ''))
    order by t.season_number, t.episode_number, t.title_id limit $10
"""
IS_SERIES: Final = "select from catalog_titles where title_id = $1 and kind = 'series' and status = 'published'"

PROGRESS_EXAMPLE: Final[dict[str, Any]] = {
    "position_ms": 600_000,
    "completed": False,
    "watched_at": "2026-01-01T20:15:30Z",
    "completion": 0.4,
}
EPISODE_EXAMPLE: Final[dict[str, Any]] = {**CARD_EXAMPLE, "progress": PROGRESS_EXAMPLE}
EPISODES_EXAMPLE: Final = {"items": [EPISODE_EXAMPLE], "next_cursor": None}
SERIES_EXAMPLE: Final[dict[str, Any]] = {
    **TITLE_EXAMPLE,
    **{"title_id": "made-up", "kind": "series", "name": "Made Up", "duration_ms": None, "credits_start_ms": None},
    **{"series_id": None, "series_name": None, "season_number": None, "episode_number": None},
    "markers": {"intro": None, "recap": None, "credits_start_ms": None},
    "availability": [],
    "seasons": [{"number": 1, "name": "Season 1", "episode_count": 8}],
    "next_episode": EPISODE_EXAMPLE,
}


class ProgressModel(BaseModel):
    """How far the viewer came. Completed stays, also when the episode is watched again. `completion`: the greatest
    share of it that was watched in a session, which is not where its playhead was; null: the episode has no length.
    """

    position_ms: int
    completed: bool
    watched_at: datetime
    completion: float | None = Field(ge=0, le=1)


class EpisodeModel(TitleCard):
    """An episode; `progress` is null when the viewer never started it, or the token names no profile."""

    progress: ProgressModel | None


class EpisodePage(BaseModel):
    """Episodes as they are watched; `next_cursor` is null at the end."""

    items: list[EpisodeModel]
    next_cursor: str | None


class CountedSeason(SeasonModel):
    """A season, and how many of its episodes are published."""

    episode_count: int


class SeriesPageModel(Title):
    """A series. `next_episode`: where the viewer should go on; null when they have seen all, or the token names no
    profile.
    """

    seasons: list[CountedSeason]  # type: ignore[assignment]  # a series' own list says more
    next_episode: EpisodeModel | None = Field()


class Progress(msgspec.Struct):
    """See ProgressModel."""

    position_ms: int
    completed: bool
    watched_at: datetime
    completion: float | None


class Episode(Card, kw_only=True):
    """See EpisodeModel."""

    progress: Progress | None


class Episodes(msgspec.Struct):
    """See EpisodePage."""

    items: list[Episode]
    next_cursor: str | None


class SeasonOfSeries(Season):
    """See CountedSeason."""

    episode_count: int


class SeriesPage(Whole, kw_only=True):
    """See SeriesPageModel."""

    seasons: list[SeasonOfSeries]  # type: ignore[assignment]
    next_episode: Episode | None


class AfterEpisode(msgspec.Struct):
    """The last episode of a page: as they are watched."""

    season_number: int
    episode_number: int
    title_id: str


class AskedEpisodes:
    """Which episodes a request wants, in which languages."""

    def __init__(
        self,
        series_id: SeriesId,
        locales: Languages,
        season_number: Annotated[
            int | None, Query(ge=0, le=SEASON_MAX, description="Only this season", examples=[1])
        ] = None,
    ) -> None:
        self.series_id = series_id
        self.locales = locales
        self.season_number = season_number


TABLE: Final = Table(EpisodeModel, name="episodes")

routes = APIRouter(prefix="/v1/catalog/series", tags=["catalog"], dependencies=[READER])


@routes.get(
    "/{series_id}", response_model=SeriesPageModel, responses=replies(SERIES_EXAMPLE, *EVERY_VIEW, TITLE_UNKNOWN)
)
async def read_series(
    caller: Caller,
    sources: From,
    settings: ReadSettings,
    series_id: SeriesId,
    positions: Positions,
    locales: Languages,
) -> Response:
    """A series with its seasons, and where the viewer should go on."""
    await sources.postgres_checkpoint.reached(TOPIC, positions)
    async with sources.postgres_as(caller) as connection:
        rows = await connection.fetch(SERIES, *progress_values(settings, caller.profile_id, series_id))
    if not rows or rows[0]["title_id"] != series_id:
        raise _unknown(series_id)
    following = rows[1] if len(rows) > 1 and caller.profile_id is not None else None
    page = _series_page(rows[0], following, locales)
    return reply(page, page.locale)


@routes.get(
    "/{series_id}/episodes",
    response_model=EpisodePage | Projected,
    responses=TABLE.replies(EPISODES_EXAMPLE, *EVERY_VIEW, *EVERY_PAGE, TITLE_UNKNOWN),
)
async def read_episodes(
    asked: Annotated[AskedEpisodes, Depends()],
    caller: Caller,
    sources: From,
    pages: Annotated[AskedPages, Depends(asked_pages(TABLE))],
    positions: Positions,
) -> Response:
    """A series' episodes by season and number, each with the viewer's progress."""
    series_id, season_number = asked.series_id, asked.season_number
    listing = Listing(sources.cursors, scope_of("series_episodes", series_id, season_number), AfterEpisode)
    which = (*progress_values(pages.settings, caller.profile_id, series_id), season_number)

    async def read(page: AskedPage) -> Episodes:
        after = listing.after(page.cursor)
        place = (after.season_number, after.episode_number, after.title_id) if after else (None, None, None)
        async with sources.postgres_as(caller) as connection:
            rows = await connection.fetch(EPISODES, *which, *place, page.limit + 1)
            unknown = not rows and after is None and await connection.fetchrow(IS_SERIES, series_id) is None
        if unknown:
            raise _unknown(series_id)
        shown, next_cursor = listing.page(rows, page.limit, _after_episode)
        return Episodes([_episode(row, asked.locales) for row in shown], next_cursor)

    await sources.postgres_checkpoint.reached(TOPIC, positions)
    return await pages.read(read, IN_LANGUAGES)


def _series_page(row: asyncpg.Record, following: asyncpg.Record | None, locales: Locales) -> SeriesPage:
    counts: dict[str, int] = msgspec.json.decode(row["episode_counts"] or "{}")
    seasons = [
        SeasonOfSeries(season.number, season.name, counts.get(str(season.number), 0))
        for season in seasons_of(row, locales)
    ]
    told = msgspec.structs.asdict(title_page(row, locales)) | {"seasons": seasons}
    return SeriesPage(**told, next_episode=_episode(following, locales) if following else None)


def _episode(row: asyncpg.Record, locales: Locales) -> Episode:
    values = card_values(row, locales, locales.choose(texts_of(row), row["default_locale"]))
    return Episode(**values, progress=_progress(row))


def _progress(row: asyncpg.Record) -> Progress | None:
    if row["watched_at"] is None:
        return None
    return Progress(row["position_ms"], row["completed"], row["watched_at"], row["completion"])


def _after_episode(row: asyncpg.Record) -> AfterEpisode:
    return AfterEpisode(row["season_number"], row["episode_number"], row["title_id"])


def _unknown(series_id: str) -> TitleUnknown:
    return TitleUnknown(f"The catalog has no series {series_id!r}.")
