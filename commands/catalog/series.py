"""What a series arranges: its seasons, and where its episodes stand. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, TypeVar, assert_never

from commands.catalog.commands import (
    AddSeason,
    EpisodeNumber,
    ImportSeason,
    MoveEpisode,
    RemoveSeason,
    ReorderEpisodes,
    ReorderSeasons,
    ReviseSeason,
    SeriesCommand,
)
from commands.catalog.details import check_size, check_texts
from commands.catalog.refusals import (
    EpisodeNumberTaken,
    NotASeries,
    OrderIncomplete,
    SeasonHasEpisodes,
    SeasonNumberTaken,
    SeasonUnknown,
    SeriesTooLong,
    SeriesUnknown,
    TitleIsDiscarded,
    TitleUnknown,
)
from commands.catalog.state import CatalogState, TitleState, place_of
from events.catalog import EpisodeMoved, SeasonAdded, SeasonRemoved, SeasonRevised, SeasonsReordered
from events.envelope import Event
from events.titles import EpisodePlace, Kind, Season, Status
from events.types import SeriesId, TitleId

MAX_SEASONS: Final = 500
MAX_EPISODES: Final = 10_000
SPECIALS: Final = 0

T = TypeVar("T", int, TitleId)


def series_of(state: CatalogState, series_id: SeriesId) -> TitleState:
    """The series of a stream. Raises SeriesUnknown, NotASeries, TitleIsDiscarded."""
    title = state.title
    if title is None:
        raise SeriesUnknown(f"no series {series_id} was begun; begin the series first")
    if title.kind is not Kind.SERIES:
        raise NotASeries(
            f"{series_id} is a {title.kind.value}, which has no seasons and no episodes",
            members={"kind": title.kind.value},
        )
    if title.status is Status.DISCARDED:
        raise TitleIsDiscarded(f"the series {series_id} was discarded; begin another")
    return title


def place_at(number: EpisodeNumber, series: TitleState) -> EpisodePlace:
    """A place in a series, as it is called now."""
    name = series.details.text.name
    return EpisodePlace(SeriesId(series.title_id), name, number.season_number, number.episode_number)


def season_for(number: EpisodeNumber, series: TitleState, state: CatalogState) -> list[Event]:
    """The season that an imported episode brings along; none when it is there."""
    if number.season_number in state.seasons:
        return []
    name = "Specials" if number.season_number == SPECIALS else f"Season {number.season_number}"
    add = AddSeason(series_id=SeriesId(series.title_id), season_number=number.season_number, name=name)
    return _add_season(add, state)


def check_free(number: EpisodeNumber, title_id: TitleId, state: CatalogState) -> None:
    """Raise SeasonUnknown, EpisodeNumberTaken or SeriesTooLong when an episode cannot go there."""
    _season(number.season_number, state)
    wanted = (number.season_number, number.episode_number)
    for episode in state.episodes.values():
        if place_of(episode) == wanted and episode.title_id != title_id and episode.status is not Status.DISCARDED:
            raise EpisodeNumberTaken(
                f"season {wanted[0]} has an episode {wanted[1]}: {episode.details.text.name!r}",
                members={"title_id": episode.title_id},
            )
    if len(state.episodes) >= MAX_EPISODES and title_id not in state.episodes:
        raise SeriesTooLong(f"a series holds {MAX_EPISODES} episodes at most; begin another series")


def arrange(command: SeriesCommand, state: CatalogState) -> list[Event]:  # noqa: PLR0911 - a routing table
    """The events that a command to a series leads to; none when it is already so."""
    series = series_of(state, command.series_id)
    match command:
        case AddSeason():
            return _add_season(command, state)
        case ReviseSeason():
            return _revise_season(command, state)
        case ImportSeason():
            return _import_season(command, state)
        case RemoveSeason():
            return _remove_season(command, state)
        case ReorderSeasons():
            return _reorder_seasons(command, state, series)
        case ReorderEpisodes():
            return _reorder_episodes(command, state, series)
        case MoveEpisode():
            return _move(command, state, series)
        case _:
            assert_never(command)


def _season(season_number: int, state: CatalogState) -> Season:
    if season_number not in state.seasons:
        raise SeasonUnknown(
            f"the series has no season {season_number}; add the season first",
            members={"seasons": sorted(state.seasons)},
        )
    return state.seasons[season_number]


def _add_season(command: AddSeason, state: CatalogState) -> list[Event]:
    check_texts(command.texts, None)
    there = state.seasons.get(command.season_number)
    if there == Season(command.season_number, command.name, command.texts):
        return []
    if there is not None:
        raise SeasonNumberTaken(f"season {there.season_number} is {there.name!r}; revise it, or add another number")
    if len(state.seasons) >= MAX_SEASONS:
        raise SeriesTooLong(f"a series holds {MAX_SEASONS} seasons at most; begin another series")
    check_size([*state.seasons.values(), Season(command.season_number, command.name, command.texts)])
    return [SeasonAdded(**vars(command))]


def _revise_season(command: ReviseSeason, state: CatalogState) -> list[Event]:
    check_texts(command.texts, None)
    revised = Season(command.season_number, command.name, command.texts)
    if _season(command.season_number, state) == revised:
        return []
    check_size([*({**state.seasons, command.season_number: revised}).values()])
    return [SeasonRevised(**vars(command))]


def _import_season(command: ImportSeason, state: CatalogState) -> list[Event]:
    if command.season_number in state.seasons:
        return _revise_season(ReviseSeason(**vars(command)), state)
    return _add_season(AddSeason(**vars(command)), state)


def _remove_season(command: RemoveSeason, state: CatalogState) -> list[Event]:
    _season(command.season_number, state)
    if episodes := state.of_season(command.season_number):
        raise SeasonHasEpisodes(
            f"season {command.season_number} has {len(episodes)} episodes; move or discard them first",
            members={"title_ids": [episode.title_id for episode in episodes.values()][:100]},
        )
    return [SeasonRemoved(series_id=command.series_id, season_number=command.season_number)]


def _reorder_seasons(command: ReorderSeasons, state: CatalogState, series: TitleState) -> list[Event]:
    numbers = sorted(number for number in state.seasons if number != SPECIALS)
    _check_order("season_numbers", command.season_numbers, numbers)
    new_number = dict(zip(command.season_numbers, numbers, strict=True))
    if all(number == new for number, new in new_number.items()):
        return []
    seasons = [
        Season(new_number.get(number, number), season.name, season.texts) for number, season in state.seasons.items()
    ]
    reordered = SeasonsReordered(
        series_id=command.series_id, seasons=tuple(sorted(seasons, key=lambda season: season.season_number))
    )
    moves = {
        episode.title_id: EpisodeNumber(new_number.get(number[0], number[0]), number[1])
        for number, episode in state.placed.items()
    }
    return [reordered, *_moved(moves, state, series)]


def _reorder_episodes(command: ReorderEpisodes, state: CatalogState, series: TitleState) -> list[Event]:
    _season(command.season_number, state)
    episodes = state.of_season(command.season_number)
    _check_order("title_ids", command.title_ids, [episode.title_id for episode in episodes.values()])
    moves = {title_id: EpisodeNumber(*number) for title_id, number in zip(command.title_ids, episodes, strict=True)}
    return list(_moved(moves, state, series))


def _move(command: MoveEpisode, state: CatalogState, series: TitleState) -> list[Event]:
    episode = state.episodes.get(command.title_id)
    if episode is None:
        raise TitleUnknown(f"the series has no episode {command.title_id}")
    if episode.status is Status.DISCARDED:
        raise TitleIsDiscarded(f"the draft {command.title_id} was discarded; begin another")
    check_free(command.number, command.title_id, state)
    return list(_moved({command.title_id: command.number}, state, series))


def _moved(moves: Mapping[TitleId, EpisodeNumber], state: CatalogState, series: TitleState) -> Iterator[EpisodeMoved]:
    for title_id, number in moves.items():
        episode = state.episodes[title_id]
        if place_of(episode) != (number.season_number, number.episode_number):
            yield EpisodeMoved(title_id=title_id, place=place_at(number, series), status=episode.status)


def _check_order(name: str, order: Sequence[T], there: Collection[T]) -> None:
    if sorted(order) != sorted(there):
        raise OrderIncomplete(
            f"{name} names each of the {len(there)} that there are once, in their new order",
            members={"pointer": f"/{name}", "missing": sorted(set(there) - set(order))[:100]},
        )
