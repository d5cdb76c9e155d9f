"""What a stream of the catalog has come to: a title and, when it is a series, its seasons and episodes. Pure.

The state is kept in snapshots, which are trusted only by the code of this module: all that folds it is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from events.catalog import (
    EpisodeMoved,
    SeasonAdded,
    SeasonRemoved,
    SeasonRevised,
    SeasonsReordered,
    TitleDiscarded,
    TitleDrafted,
    TitleEvent,
    TitlePublished,
    TitleRevised,
    TitleScheduled,
    TitleUnscheduled,
    TitleWithdrawn,
)
from events.envelope import Event
from events.titles import EpisodePlace, Kind, Season, Status, TitleDetails
from events.types import TitleId


@dataclass(frozen=True, kw_only=True)
class TitleState:
    """A title. `publish_at`: while it is scheduled. `was_published`: whether viewers have ever known it."""

    title_id: TitleId
    kind: Kind
    place: EpisodePlace | None
    status: Status
    details: TitleDetails
    revision: int
    publish_at: datetime | None = None
    was_published: bool = False
    withdrawn_for: str | None = None
    withdrawn_with_series: bool = False


@dataclass(frozen=True)
class CatalogState:
    """A stream: its title, seasons by number, and episodes by id, discarded ones among them."""

    title: TitleState | None = None
    seasons: Mapping[int, Season] = field(default_factory=dict)
    episodes: Mapping[TitleId, TitleState] = field(default_factory=dict)

    @property
    def placed(self) -> dict[tuple[int, int], TitleState]:
        """The episodes that have a number, by it: all that were not discarded, in order."""
        there = ((place_of(episode), episode) for episode in self.episodes.values())
        kept = {number: episode for number, episode in there if episode.status is not Status.DISCARDED}
        return dict(sorted(kept.items()))

    def of_season(self, season_number: int) -> dict[tuple[int, int], TitleState]:
        """The episodes of a season, by number."""
        return {number: episode for number, episode in self.placed.items() if number[0] == season_number}


def place_of(episode: TitleState) -> tuple[int, int]:
    """An episode's season and number."""
    assert episode.place is not None
    return episode.place.season_number, episode.place.episode_number


def evolve(state: CatalogState, event: Event) -> CatalogState:  # noqa: PLR0911 - a routing table
    """The state after an event."""
    match event:
        case TitleEvent(place=None):
            return replace(state, title=_title_after(state.title, event))
        case TitleEvent(title_id=title_id):
            episode = _title_after(state.episodes.get(title_id), event)
            return replace(state, episodes={**state.episodes, title_id: episode})
        case EpisodeMoved(title_id=title_id, place=place):
            moved = replace(state.episodes[title_id], place=place)
            return replace(state, episodes={**state.episodes, title_id: moved})
        case SeasonAdded() | SeasonRevised():
            season = Season(event.season_number, event.name, event.texts)
            return replace(state, seasons={**state.seasons, season.season_number: season})
        case SeasonRemoved():
            left = {number: season for number, season in state.seasons.items() if number != event.season_number}
            return replace(state, seasons=left)
        case SeasonsReordered():
            return replace(state, seasons={season.season_number: season for season in event.seasons})
        case _:
            return state


def _title_after(title: TitleState | None, event: TitleEvent) -> TitleState:  # noqa: PLR0911 - a routing table
    match event:
        case TitleDrafted() | TitlePublished() if title is None:
            return _begun(event)
        case TitleRevised() if title is not None:
            return replace(title, details=event.details, revision=event.revision, place=event.place)
        case TitleScheduled() if title is not None:
            return replace(title, status=Status.SCHEDULED, publish_at=event.publish_at)
        case TitleUnscheduled() if title is not None:
            return replace(title, status=event.status, publish_at=None)
        case TitlePublished() if title is not None:
            return _published(title, event)
        case TitleWithdrawn() if title is not None:
            withdrawn = replace(title, status=Status.WITHDRAWN, withdrawn_for=event.reason)
            return replace(withdrawn, withdrawn_with_series=event.with_series)
        case TitleDiscarded() if title is not None:
            return replace(title, status=Status.DISCARDED)
        case _:
            raise TypeError(event)


def _published(title: TitleState, event: TitlePublished) -> TitleState:
    return replace(
        title,
        status=Status.PUBLISHED,
        place=event.place,
        publish_at=None,
        was_published=True,
        withdrawn_for=None,
        withdrawn_with_series=False,
    )


def _begun(event: TitleDrafted | TitlePublished) -> TitleState:
    published = isinstance(event, TitlePublished)
    return TitleState(
        title_id=event.title_id,
        kind=event.kind,
        place=event.place,
        status=Status.PUBLISHED if published else Status.DRAFT,
        details=event.details,
        revision=event.revision,
        was_published=published,
    )
