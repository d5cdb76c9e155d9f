"""What the catalog allows: pure. A movie, a short or a channel is a stream; a series is one with its seasons and
episodes, so that their numbers and order are decided in one place.
"""

from datetime import datetime
from typing import TypeAlias

from commands.catalog import beginnings, life, series
from commands.catalog.commands import (
    Beginning,
    CatalogCommand,
    DiscardTitle,
    EpisodeNumber,
    GoingOn,
    ImportTitle,
    MoveEpisode,
    NewTitle,
    RequireFollower,
    SeriesCommand,
)
from commands.catalog.life import Subject
from commands.catalog.refusals import (
    EpisodeElsewhere,
    EpisodeNumberMissing,
    NextTitleNotAllowed,
    NextTitleUnknown,
    SeriesHasEpisodes,
    SeriesNotPublished,
)
from commands.catalog.state import CatalogState, TitleState, evolve, place_of
from commands.decider import Decider
from events.catalog import TitlePublished, TitleWithdrawn
from events.envelope import Event
from events.titles import CHANNELS, EpisodePlace, Kind, Status
from events.types import SeriesId

AboutTitle: TypeAlias = Beginning | GoingOn


def decide(command: CatalogCommand, state: CatalogState, now: datetime) -> list[Event]:
    """The events that a command leads to; none when it is already so. Raises the refusals of this context."""
    if isinstance(command, RequireFollower):
        return _require_follower(command, state)
    if isinstance(command, SeriesCommand):
        return series.arrange(command, state)
    if isinstance(command, NewTitle):
        _check_number(command)
    if command.series_id is None:
        return _of_its_own(command, state, now)
    return _in_series(command, command.series_id, state, now)


def _of_its_own(command: AboutTitle, state: CatalogState, now: datetime) -> list[Event]:
    """A movie, a short, a channel or a series."""
    seasons = tuple(season for _, season in sorted(state.seasons.items()))
    decided = _decide(command, Subject(command.title_id, None, state.title, seasons), now)
    if isinstance(command, DiscardTitle) and decided and state.placed:
        raise SeriesHasEpisodes(f"the series has {len(state.placed)} episodes; discard their drafts first")
    return [*decided, *(event for own in decided for event in _of_episodes(own, state))]


def _of_episodes(own: Event, state: CatalogState) -> list[Event]:
    """What a series' withdrawal, or its coming back, means for its episodes."""
    match own:
        case TitleWithdrawn(reason=reason):
            return [
                TitleWithdrawn(
                    title_id=episode.title_id, kind=episode.kind, place=episode.place, reason=reason, with_series=True
                )
                for episode in state.placed.values()
                if episode.status is Status.PUBLISHED
            ]
        case TitlePublished(details=details):
            return [
                published
                for episode in state.placed.values()
                if episode.status is Status.WITHDRAWN and episode.withdrawn_with_series
                for published in life.publish(_episode(episode, details.text.name), episode)
            ]
        case _:
            return []


def _in_series(command: AboutTitle, series_id: SeriesId, state: CatalogState, now: datetime) -> list[Event]:
    around = series.series_of(state, series_id)
    if isinstance(command, NewTitle):
        placed = _placed(command, around, state)
        number = command.number
        assert number is not None
        subject = Subject(command.title_id, series.place_at(number, around), state.episodes.get(command.title_id))
    else:
        placed = []
        there = state.episodes.get(command.title_id)
        subject = _episode(there, around.details.text.name) if there else Subject(command.title_id, None, None)
    decided = _decide(command, subject, now)
    if around.status is not Status.PUBLISHED and any(isinstance(event, TitlePublished) for event in decided):
        raise SeriesNotPublished(
            f"the series is {around.status.value}; publish it first, or schedule the episode",
            members={"status": around.status.value},
        )
    return [*placed, *decided]


def _episode(episode: TitleState, series_name: str) -> Subject:
    """An episode where it stands, in a series that may be called something else by now."""
    assert episode.place is not None
    number = place_of(episode)
    return Subject(episode.title_id, EpisodePlace(episode.place.series_id, series_name, *number), episode)


def _placed(command: NewTitle, around: TitleState, state: CatalogState) -> list[Event]:
    """What has to happen before an episode is where it is to be; of most, that its number is free."""
    assert command.number is not None
    there = state.episodes.get(command.title_id)
    if isinstance(command, ImportTitle):
        return _import_placed(command.number, command, around, state)
    if there is not None and place_of(there) != _pair(command.number):
        raise EpisodeElsewhere(
            f"the episode {command.title_id} is there, as {place_of(there)}; move it instead",
            members={"season_number": place_of(there)[0], "episode_number": place_of(there)[1]},
        )
    series.check_free(command.number, command.title_id, state)
    return []


def _import_placed(number: EpisodeNumber, command: ImportTitle, around: TitleState, state: CatalogState) -> list[Event]:
    """An imported episode brings its season along, and moves when the file has it elsewhere."""
    added = series.season_for(number, around, state)
    with_season = CATALOG.state_after(added, state)
    there = state.episodes.get(command.title_id)
    if there is None or place_of(there) == _pair(number):
        series.check_free(number, command.title_id, with_season)
        return added
    move = MoveEpisode(series_id=SeriesId(around.title_id), title_id=command.title_id, number=number)
    return [*added, *series.arrange(move, with_season)]


def _pair(number: EpisodeNumber) -> tuple[int, int]:
    return number.season_number, number.episode_number


def _check_number(command: NewTitle) -> None:
    has = (command.series_id is not None, command.number is not None)
    wanted = command.kind is Kind.EPISODE
    if has != (wanted, wanted):
        raise EpisodeNumberMissing(
            "an episode needs a series, a season and a number" if wanted else f"a {command.kind.value} is in no series"
        )


def _decide(command: AboutTitle, subject: Subject, now: datetime) -> list[Event]:
    if isinstance(command, Beginning):
        return [*beginnings.begin(command, subject, now)]
    return [*life.live(command, subject, now)]


def _require_follower(command: RequireFollower, state: CatalogState) -> list[Event]:
    title = state.title
    if title is None or title.status is Status.DISCARDED:
        raise NextTitleUnknown(
            f"the next title {command.title_id} is no movie, short or series of the catalog; begin it first",
            members={"pointer": "/next_title_id"},
        )
    if title.kind in CHANNELS:
        raise NextTitleNotAllowed(f"{command.title_id} is a channel, which nothing leads to by ending")
    return []


CATALOG = Decider(CatalogState(), decide, evolve, snapshots=True)
