"""Catalog titles in Postgres: movies, series with their seasons, and episodes, as editors published them."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from events.catalog import (
    AnyTitleEvent,
    EpisodeMoved,
    SeasonAdded,
    SeasonRemoved,
    SeasonRevised,
    SeasonsReordered,
    SeriesEvent,
    TitleEvent,
    TitlePublished,
    TitleRevised,
    TitleWithdrawn,
)
from events.envelope import Event, Recorded
from events.registry import members
from events.titles import EpisodePlace, Kind, Status
from events.topics import CATALOG
from events.types import Availability
from projections.views import KeyedView


class Season(msgspec.Struct, frozen=True, order=True):
    """A season as a series' row lists it."""

    number: int
    name: str


class CatalogTitle(msgspec.Struct, frozen=True, kw_only=True):
    """A row. A series has its series_id as title_id, and seasons; only what is played has a duration."""

    title_id: str
    kind: str
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
    """What was published or revised last is what the row says; a withdrawn title has none."""

    name = "catalog_titles"
    row = CatalogTitle
    topics = (CATALOG,)
    events = (*members(AnyTitleEvent), *members(SeriesEvent))

    def key(self, recorded: Recorded[Event]) -> str:
        """The title; of a season, its series."""
        match recorded.data:
            case TitleEvent(title_id=title_id) | EpisodeMoved(title_id=title_id):
                return title_id
            case (
                SeasonAdded(series_id=series_id)
                | SeasonRevised(series_id=series_id)
                | SeasonRemoved(series_id=series_id)
                | SeasonsReordered(series_id=series_id)
            ):
                return series_id
            case other:
                raise TypeError(other)

    def project(self, row: CatalogTitle | None, recorded: Recorded[Event]) -> CatalogTitle | None:
        """The title as viewers may know it; None before it is published and after it is withdrawn."""
        match recorded.data:
            case TitlePublished() as event:
                seasons = tuple(Season(season.season_number, season.name) for season in event.seasons)
                return _title(event, recorded.envelope.time, seasons)
            case TitleRevised(status=Status.PUBLISHED) as event if row is not None:
                return _title(event, row.published_at, row.seasons)
            case TitleWithdrawn():
                return None
            case event if row is not None:
                return _of_series(row, event)
            case _:
                return row


def _title(event: TitlePublished | TitleRevised, published_at: datetime, seasons: tuple[Season, ...]) -> CatalogTitle:
    details = event.details
    rating = details.maturity[0]
    row = CatalogTitle(
        title_id=event.title_id,
        kind=event.kind.value,
        name=details.text.name,
        synopsis=details.text.synopsis,
        duration_ms=details.duration_ms,
        credits_start_ms=details.markers.credits_start_ms,
        maturity_system=rating.system,
        maturity_value=rating.value,
        minimum_age=rating.minimum_age,
        availability=details.availability,
        seasons=seasons,
        published_at=published_at,
    )
    return _placed(row, event.place) if event.kind is Kind.EPISODE and event.place else row


def _placed(row: CatalogTitle, place: EpisodePlace) -> CatalogTitle:
    return replace(
        row,
        series_id=place.series_id,
        series_name=place.series_name,
        season_number=place.season_number,
        episode_number=place.episode_number,
    )


def _of_series(row: CatalogTitle, event: Event) -> CatalogTitle:
    match event:
        case SeasonAdded() | SeasonRevised():
            others = tuple(season for season in row.seasons if season.number != event.season_number)
            return replace(row, seasons=tuple(sorted((*others, Season(event.season_number, event.name)))))
        case SeasonRemoved():
            left = tuple(season for season in row.seasons if season.number != event.season_number)
            return replace(row, seasons=left)
        case SeasonsReordered():
            seasons = (Season(season.season_number, season.name) for season in event.seasons)
            return replace(row, seasons=tuple(sorted(seasons)))
        case EpisodeMoved():
            return _placed(row, event.place)
        case _:
            return row
