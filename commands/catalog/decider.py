"""What the catalog allows: pure. A movie is a stream; a series is one with its seasons and episodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias, assert_never

from commands.catalog.refusals import (
    AlreadyPublished,
    CreditsOutsideTitle,
    EpisodeNumberTaken,
    SeasonUnknown,
    SeriesUnknown,
    WindowEndsBeforeItStarts,
)
from commands.decider import Decider
from events.catalog import SeasonAdded, TitlePublished
from events.envelope import Event
from events.titles import EpisodePlace, Kind, LocalizedText, Markers, TitleDetails
from events.types import Availability, Maturity, SeriesId, TitleId


@dataclass(frozen=True, kw_only=True)
class PublishMovie:
    """Make a film playable inside its availability windows."""

    title_id: TitleId
    name: str
    synopsis: str
    duration_ms: int
    credits_start_ms: int | None
    maturity: Maturity
    availability: tuple[Availability, ...]


@dataclass(frozen=True, kw_only=True)
class PublishSeries:
    """Make a series visible."""

    series_id: SeriesId
    name: str
    synopsis: str
    maturity: Maturity


@dataclass(frozen=True, kw_only=True)
class AddSeason:
    """Give a series a season."""

    series_id: SeriesId
    season_number: int
    name: str


@dataclass(frozen=True, kw_only=True)
class PublishEpisode:
    """Make an episode of a season playable inside its availability windows."""

    series_id: SeriesId
    title_id: TitleId
    season_number: int
    episode_number: int
    name: str
    synopsis: str
    duration_ms: int
    credits_start_ms: int | None
    maturity: Maturity
    availability: tuple[Availability, ...]


CatalogCommand: TypeAlias = PublishMovie | PublishSeries | AddSeason | PublishEpisode


LOCALE: Final = "en"


@dataclass(frozen=True)
class CatalogState:
    """What was published in a stream: a movie, or a series with seasons by number and episodes by (season, number)."""

    title: TitlePublished | None = None
    seasons: Mapping[int, SeasonAdded] = field(default_factory=dict)
    episodes: Mapping[tuple[int, int], TitlePublished] = field(default_factory=dict)


def evolve(state: CatalogState, event: Event) -> CatalogState:
    """The state after an event."""
    match event:
        case TitlePublished(place=None):
            return replace(state, title=event)
        case TitlePublished(place=EpisodePlace() as place):
            return replace(state, episodes={**state.episodes, (place.season_number, place.episode_number): event})
        case SeasonAdded():
            return replace(state, seasons={**state.seasons, event.season_number: event})
        case _:
            return state


def decide(command: CatalogCommand, state: CatalogState, _: datetime) -> list[Event]:
    """The events that a command leads to; none when it is already so. Raises the refusals of this context."""
    match command:
        case PublishMovie():
            return _publish_movie(command, state)
        case PublishSeries():
            return _publish_series(command, state)
        case AddSeason():
            return _add_season(command, state)
        case PublishEpisode():
            return _publish_episode(command, state)
        case _:
            assert_never(command)


def _publish_movie(command: PublishMovie, state: CatalogState) -> list[Event]:
    _check_credits(command.credits_start_ms, command.duration_ms)
    _check_windows(command.availability)
    event = TitlePublished(title_id=command.title_id, kind=Kind.MOVIE, details=_details(command))
    return _once(event, state.title)


def _publish_series(command: PublishSeries, state: CatalogState) -> list[Event]:
    details = TitleDetails(
        default_locale=LOCALE,
        texts=(LocalizedText(LOCALE, command.name, command.synopsis),),
        maturity=(command.maturity,),
    )
    event = TitlePublished(title_id=TitleId(command.series_id), kind=Kind.SERIES, details=details)
    return _once(event, state.title)


def _add_season(command: AddSeason, state: CatalogState) -> list[Event]:
    _series_of(state, command.series_id)
    return _once(SeasonAdded(**vars(command)), state.seasons.get(command.season_number))


def _publish_episode(command: PublishEpisode, state: CatalogState) -> list[Event]:
    series = _series_of(state, command.series_id)
    if command.season_number not in state.seasons:
        raise SeasonUnknown(
            f"the series has no season {command.season_number}; add the season first",
            members={"seasons": sorted(state.seasons)},
        )
    _check_credits(command.credits_start_ms, command.duration_ms)
    _check_windows(command.availability)
    there = state.episodes.get((command.season_number, command.episode_number))
    if there is not None and there.title_id != command.title_id:
        raise EpisodeNumberTaken(
            f"season {command.season_number} has an episode {command.episode_number}: {there.details.text.name!r}",
            members={"title_id": there.title_id},
        )
    place = EpisodePlace(command.series_id, series.details.text.name, command.season_number, command.episode_number)
    return _once(
        TitlePublished(title_id=command.title_id, kind=Kind.EPISODE, place=place, details=_details(command)), there
    )


def _details(command: PublishMovie | PublishEpisode) -> TitleDetails:
    return TitleDetails(
        default_locale=LOCALE,
        texts=(LocalizedText(LOCALE, command.name, command.synopsis),),
        maturity=(command.maturity,),
        duration_ms=command.duration_ms,
        markers=Markers(credits_start_ms=command.credits_start_ms),
        availability=command.availability,
    )


def _once(event: Event, there: Event | None) -> list[Event]:
    if there is None:
        return [event]
    if there != event:
        raise AlreadyPublished("something else was published under this id; publish the change under a new one")
    return []


def _series_of(state: CatalogState, series_id: SeriesId) -> TitlePublished:
    if state.title is None:
        raise SeriesUnknown(f"no series {series_id} was published; publish the series first")
    return state.title


def _check_credits(credits_start_ms: int | None, duration_ms: int) -> None:
    if credits_start_ms is not None and credits_start_ms >= duration_ms:
        raise CreditsOutsideTitle(
            f"credits_start_ms is {credits_start_ms} and the title lasts {duration_ms} ms; leave it out if unknown"
        )


def _check_windows(availability: tuple[Availability, ...]) -> None:
    for number, window in enumerate(availability):
        if window.starts_at and window.ends_at and window.ends_at <= window.starts_at:
            raise WindowEndsBeforeItStarts(
                f"availability[{number}] ends at {window.ends_at} and starts at {window.starts_at}",
                members={"pointer": f"/availability/{number}"},
            )


CATALOG = Decider(CatalogState(), decide, evolve, snapshots=True)
