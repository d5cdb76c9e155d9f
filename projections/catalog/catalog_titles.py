"""Catalog titles in Postgres: all that a title page, a series page or a list of titles shows, in every language."""

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
    TitleDiscarded,
    TitleDrafted,
    TitleEvent,
    TitlePublished,
    TitleRevised,
    TitleScheduled,
    TitleUnscheduled,
    TitleWithdrawn,
)
from events.envelope import Event, Recorded
from events.registry import members
from events.titles import Credit, Holdback, Image, LocalizedText, Markers, Status, TitleDetails
from events.topics import CATALOG
from events.types import Availability, Maturity
from infra.search_text import sort_name
from projections.views import KeyedView

Detailed = TitleDrafted | TitleRevised | TitleScheduled | TitlePublished
"""The events that hold the whole title."""


class Season(msgspec.Struct, frozen=True, order=True):
    """A season as a series' row lists it."""

    number: int
    name: str
    texts: tuple[LocalizedText, ...] = ()


class CatalogTitle(msgspec.Struct, frozen=True, kw_only=True):
    """A row. A series has its series_id as title_id, and seasons; only what is played has a duration. `name` and
    `synopsis` are in the default locale. Of several ratings the strictest is in the columns of its own; an unrated
    title has none. `sort_names`: what it is sorted by, by language; "" for all others.
    """

    title_id: str
    kind: str
    status: str
    revision: int
    name: str
    synopsis: str
    default_locale: str
    texts: tuple[LocalizedText, ...]
    sort_names: dict[str, str]
    duration_ms: int | None = None
    credits_start_ms: int | None = None
    markers: Markers
    maturity_system: str | None
    maturity_value: str | None
    minimum_age: int | None
    ratings: tuple[Maturity, ...]
    availability: tuple[Availability, ...]
    holdbacks: tuple[Holdback, ...]
    genres: tuple[str, ...]
    people: tuple[Credit, ...]
    images: tuple[Image, ...]
    series_id: str | None = None
    series_name: str | None = None
    season_number: int | None = None
    episode_number: int | None = None
    seasons: tuple[Season, ...] = ()
    next_title_id: str | None
    provider_id: str | None
    original_language: str | None
    release_year: int | None
    external_id: str | None
    published_at: datetime | None = None
    publish_at: datetime | None = None


class CatalogTitles(KeyedView[CatalogTitle, str]):
    """A title in any status, as its last event left it; published_at stays what it was at first."""

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
        """The title after an event. None: a draft was thrown away, or the log does not hold its beginning."""
        match recorded.data:
            case TitleDrafted() | TitleRevised() | TitleScheduled() | TitlePublished() as event:
                return _detailed(row, event, recorded.envelope.time)
            case TitleDiscarded():
                return None
            case event if row is not None:
                return _of_series(_with_status(row, event), event)
            case _:
                return row


def _detailed(row: CatalogTitle | None, event: Detailed, at: datetime) -> CatalogTitle:
    title = _title(event, seasons=row.seasons if row else (), published_at=row.published_at if row else None)
    match event:
        case TitlePublished():
            seasons = tuple(sorted(Season(one.season_number, one.name, one.texts) for one in event.seasons))
            first = title.published_at or at
            return replace(title, status=Status.PUBLISHED.value, seasons=seasons or title.seasons, published_at=first)
        case TitleScheduled():
            return replace(title, status=Status.SCHEDULED.value, publish_at=event.publish_at)
        case TitleRevised():
            kept = row.publish_at if row and event.status is Status.SCHEDULED else None
            return replace(title, status=event.status.value, publish_at=kept)
        case TitleDrafted():
            return title


def _title(event: Detailed, *, seasons: tuple[Season, ...], published_at: datetime | None) -> CatalogTitle:
    details = event.details
    rating = max(details.maturity, key=lambda one: one.minimum_age, default=None)
    place = event.place
    return CatalogTitle(
        title_id=event.title_id,
        kind=event.kind.value,
        status=Status.DRAFT.value,
        revision=event.revision,
        name=details.text.name,
        synopsis=details.text.synopsis,
        default_locale=details.default_locale,
        texts=details.texts,
        sort_names=sort_names(details),
        duration_ms=details.duration_ms,
        credits_start_ms=details.markers.credits_start_ms,
        markers=details.markers,
        maturity_system=rating.system if rating else None,
        maturity_value=rating.value if rating else None,
        minimum_age=rating.minimum_age if rating else None,
        ratings=details.maturity,
        availability=details.availability,
        holdbacks=details.holdbacks,
        genres=details.genres,
        people=details.people,
        images=details.images,
        series_id=place.series_id if place else None,
        series_name=place.series_name if place else None,
        season_number=place.season_number if place else None,
        episode_number=place.episode_number if place else None,
        seasons=seasons,
        next_title_id=details.next_title_id,
        provider_id=details.provider_id,
        original_language=details.original_language,
        release_year=details.release_year,
        external_id=details.external_id,
        published_at=published_at,
    )


def sort_names(details: TitleDetails) -> dict[str, str]:
    """What a title is sorted by in each language that it has a name in, and "" in all others."""
    by_language: dict[str, str] = {"": sort_name(details.text.name)}
    for text in details.texts:
        by_language.setdefault(text.locale.partition("-")[0].lower(), sort_name(text.name))
    return by_language


def _with_status(row: CatalogTitle, event: Event) -> CatalogTitle:
    match event:
        case TitleWithdrawn():
            return replace(row, status=Status.WITHDRAWN.value, publish_at=None)
        case TitleUnscheduled(status=status):
            return replace(row, status=status.value, publish_at=None)
        case _:
            return row


def _of_series(row: CatalogTitle, event: Event) -> CatalogTitle:
    match event:
        case SeasonAdded() | SeasonRevised():
            added = Season(event.season_number, event.name, event.texts)
            return replace(row, seasons=tuple(sorted((*_without(row.seasons, event.season_number), added))))
        case SeasonRemoved():
            return replace(row, seasons=_without(row.seasons, event.season_number))
        case SeasonsReordered():
            return replace(
                row, seasons=tuple(sorted(Season(one.season_number, one.name, one.texts) for one in event.seasons))
            )
        case EpisodeMoved(place=place):
            return replace(
                row,
                series_id=place.series_id,
                series_name=place.series_name,
                season_number=place.season_number,
                episode_number=place.episode_number,
            )
        case _:
            return row


def _without(seasons: tuple[Season, ...], number: int) -> tuple[Season, ...]:
    return tuple(season for season in seasons if season.number != number)
