"""Catalog titles in Postgres: movies, series with their seasons, and episodes, as editors published them."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from events.catalog import CatalogEvent, EpisodePublished, MoviePublished, SeasonAdded, SeriesPublished
from events.envelope import Event, Recorded
from events.registry import members
from events.topics import CATALOG
from events.types import Availability
from projections.views import KeyedView

Kind: TypeAlias = Literal["movie", "series", "episode"]


class Season(msgspec.Struct, frozen=True, order=True):
    """A season as a series' row lists it."""

    number: int
    name: str


class CatalogTitle(msgspec.Struct, frozen=True, kw_only=True):
    """A row. A series has its series_id as title_id, and seasons; only what is played has a duration."""

    title_id: str
    kind: Kind
    name: str
    synopsis: str
    duration_ms: int | None = None
    credits_start_ms: int | None = None
    maturity_system: str
    maturity_value: str
    minimum_age: int
    availability: tuple[Availability, ...] = ()
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    seasons: tuple[Season, ...] = ()
    published_at: datetime


class CatalogTitles(KeyedView[CatalogTitle, str]):
    """What was published last under an id is what the row says; published_at stays what it was at first."""

    name = "catalog_titles"
    row = CatalogTitle
    topics = (CATALOG,)
    events = members(CatalogEvent)

    def key(self, recorded: Recorded[Event]) -> str:
        """The title, or the series."""
        match recorded.data:
            case MoviePublished(title_id=title_id) | EpisodePublished(title_id=title_id):
                return title_id
            case SeriesPublished(series_id=series_id) | SeasonAdded(series_id=series_id):
                return series_id
            case other:
                raise TypeError(other)

    def project(self, row: CatalogTitle | None, recorded: Recorded[Event]) -> CatalogTitle | None:
        """The title after it was published, or the series after a season was added."""
        published_at = row.published_at if row else recorded.envelope.time
        match recorded.data:
            case MoviePublished() as movie:
                return _movie(movie, published_at)
            case EpisodePublished() as episode:
                return _episode(episode, published_at)
            case SeriesPublished() as series:
                return _series(series, published_at, row.seasons if row else ())
            case SeasonAdded() as season if row is not None:
                return replace(row, seasons=_with_season(row.seasons, Season(season.season_number, season.name)))
            case _:  # a season of a series that is not there: the log puts the series first
                return row


def _movie(movie: MoviePublished, published_at: datetime) -> CatalogTitle:
    return CatalogTitle(
        title_id=movie.title_id,
        kind="movie",
        name=movie.name,
        synopsis=movie.synopsis,
        duration_ms=movie.duration_ms,
        credits_start_ms=movie.credits_start_ms,
        maturity_system=movie.maturity.system,
        maturity_value=movie.maturity.value,
        minimum_age=movie.maturity.minimum_age,
        availability=movie.availability,
        published_at=published_at,
    )


def _episode(episode: EpisodePublished, published_at: datetime) -> CatalogTitle:
    return CatalogTitle(
        title_id=episode.title_id,
        kind="episode",
        name=episode.name,
        synopsis=episode.synopsis,
        duration_ms=episode.duration_ms,
        credits_start_ms=episode.credits_start_ms,
        maturity_system=episode.maturity.system,
        maturity_value=episode.maturity.value,
        minimum_age=episode.maturity.minimum_age,
        availability=episode.availability,
        series_id=episode.series_id,
        series_name=episode.series_name,
        season_number=episode.season_number,
        episode_number=episode.episode_number,
        published_at=published_at,
    )


def _series(series: SeriesPublished, published_at: datetime, seasons: tuple[Season, ...]) -> CatalogTitle:
    return CatalogTitle(
        title_id=series.series_id,
        kind="series",
        name=series.name,
        synopsis=series.synopsis,
        maturity_system=series.maturity.system,
        maturity_value=series.maturity.value,
        minimum_age=series.maturity.minimum_age,
        seasons=seasons,
        published_at=published_at,
    )


def _with_season(seasons: tuple[Season, ...], added: Season) -> tuple[Season, ...]:
    return tuple(sorted([*(season for season in seasons if season.number != added.number), added]))
