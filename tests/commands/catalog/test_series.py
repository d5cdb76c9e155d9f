"""Seasons and episodes: their numbers are taken once, and an order is all of them, whatever is done."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from commands.catalog.commands import (
    AddSeason,
    DraftTitle,
    EpisodeNumber,
    MoveEpisode,
    PublishNewTitle,
    RemoveSeason,
    ReorderEpisodes,
    ReorderSeasons,
    ReviseSeason,
)
from commands.catalog.decider import CATALOG
from commands.catalog.refusals import (
    EpisodeElsewhere,
    EpisodeNumberTaken,
    OrderIncomplete,
    SeasonNumberTaken,
    SeasonUnknown,
    TextsInvalid,
    TitleIsDiscarded,
    TitleUnknown,
)
from commands.catalog.state import CatalogState
from events.catalog import (
    EpisodeMoved,
    SeasonRemoved,
    SeasonRevised,
    SeasonsReordered,
    TitleDiscarded,
    TitlePublished,
)
from events.envelope import Event
from events.refusals import Refusal
from events.titles import EpisodePlace, Kind, LocalizedText, Season, Status
from events.types import TitleId
from tests.commands.catalog.examples import (
    PILOT,
    PILOT_DETAILS,
    SERIES,
    SERIES_WITH_SEASON,
    about,
    catalog,
    drafted,
    published,
    season,
)
from tests.spec import NOON


def place(season_number: int, episode_number: int) -> EpisodePlace:
    return EpisodePlace(SERIES, "Harbour", season_number, episode_number)


def episode(number: int, *, of: int = 1, title_id: str | None = None) -> TitlePublished:
    subject = TitleId(title_id or f"harbour-s{of}e{number}")
    return structs.replace(published(PILOT), title_id=subject, place=place(of, number))


def moved(title_id: str, season_number: int, episode_number: int) -> EpisodeMoved:
    return EpisodeMoved(title_id=TitleId(title_id), place=place(season_number, episode_number), status=Status.PUBLISHED)


def publish(number: EpisodeNumber, title_id: TitleId = PILOT) -> PublishNewTitle:
    return PublishNewTitle(title_id=title_id, series_id=SERIES, kind=Kind.EPISODE, details=PILOT_DETAILS, number=number)


TWO = (*SERIES_WITH_SEASON, episode(1), episode(2))


def test_an_episode_of_a_season_that_is_not_there_is_refused_with_those_that_are() -> None:
    refusal = catalog.given(*SERIES_WITH_SEASON).when(publish(EpisodeNumber(2, 1))).refused(SeasonUnknown)
    assert refusal.members == {"seasons": [1]}


def test_a_second_episode_of_the_same_number_is_refused_with_the_first() -> None:
    refusal = catalog.given(*TWO).when(publish(EpisodeNumber(1, 2), TitleId("other"))).refused(EpisodeNumberTaken)
    assert refusal.members == {"title_id": "harbour-s1e2"}


def test_a_discarded_draft_leaves_its_number_free() -> None:
    history = (*SERIES_WITH_SEASON, drafted(PILOT), TitleDiscarded(**about(PILOT)))
    catalog.given(*history).when(publish(EpisodeNumber(1, 1), TitleId("other"))).then(episode(1, title_id="other"))


def test_an_episode_is_not_begun_again_under_another_number() -> None:
    again = DraftTitle(
        title_id=PILOT, series_id=SERIES, kind=Kind.EPISODE, details=PILOT_DETAILS, number=EpisodeNumber(1, 3)
    )
    catalog.given(*SERIES_WITH_SEASON, drafted(PILOT)).when(again).refused(EpisodeElsewhere)


def test_the_same_season_again_is_ignored_and_another_is_refused() -> None:
    same = AddSeason(series_id=SERIES, season_number=1, name="Season 1")
    catalog.given(*SERIES_WITH_SEASON).when(same).ignored()
    other = AddSeason(series_id=SERIES, season_number=1, name="The Harbour")
    catalog.given(*SERIES_WITH_SEASON).when(other).refused(SeasonNumberTaken)


def test_a_season_is_renamed_once() -> None:
    rename = ReviseSeason(series_id=SERIES, season_number=1, name="The Tide", texts=(LocalizedText("ko", "밀물"),))
    revised = SeasonRevised(series_id=SERIES, season_number=1, name="The Tide", texts=(LocalizedText("ko", "밀물"),))
    catalog.given(*SERIES_WITH_SEASON).when(rename).then(revised)
    catalog.given(*SERIES_WITH_SEASON, revised).when(rename).ignored()
    twice = AddSeason(series_id=SERIES, season_number=2, name="2", texts=(LocalizedText("ko", "a"),) * 2)
    catalog.given(*SERIES_WITH_SEASON).when(twice).refused(TextsInvalid)


@pytest.mark.parametrize(
    "command",
    [
        ReviseSeason(series_id=SERIES, season_number=9, name="Nine"),
        RemoveSeason(series_id=SERIES, season_number=9),
        ReorderEpisodes(series_id=SERIES, season_number=9, title_ids=(PILOT,)),
        MoveEpisode(series_id=SERIES, title_id=PILOT, number=EpisodeNumber(9, 1)),
    ],
)
def test_a_season_that_is_not_there_is_refused(command: Any) -> None:
    catalog.given(*TWO).when(command).refused(SeasonUnknown)


def test_an_empty_season_is_removed() -> None:
    remove = RemoveSeason(series_id=SERIES, season_number=1)
    catalog.given(*SERIES_WITH_SEASON).when(remove).then(SeasonRemoved(series_id=SERIES, season_number=1))


def test_episodes_share_out_their_numbers_in_their_new_order() -> None:
    history = (*SERIES_WITH_SEASON, episode(1), episode(3), episode(7))
    order = tuple(TitleId(f"harbour-s1e{number}") for number in (7, 3, 1))
    reorder = ReorderEpisodes(series_id=SERIES, season_number=1, title_ids=order)
    moves = (moved("harbour-s1e7", 1, 1), moved("harbour-s1e1", 1, 7))
    catalog.given(*history).when(reorder).then(*moves)
    catalog.given(*history, *moves).when(reorder).ignored()


def test_seasons_take_their_episodes_along_and_specials_stay() -> None:
    history = (*SERIES_WITH_SEASON, season(0), season(2), episode(1), episode(1, of=2), episode(1, of=0))
    seasons = (Season(0, "Season 0"), Season(1, "Season 2"), Season(2, "Season 1"))
    catalog.given(*history).when(ReorderSeasons(series_id=SERIES, season_numbers=(2, 1))).then(
        SeasonsReordered(series_id=SERIES, seasons=seasons), moved("harbour-s1e1", 2, 1), moved("harbour-s2e1", 1, 1)
    )


@pytest.mark.parametrize(
    "command",
    [
        ReorderSeasons(series_id=SERIES, season_numbers=(1, 2)),
        ReorderSeasons(series_id=SERIES, season_numbers=(1, 1)),
        ReorderEpisodes(series_id=SERIES, season_number=1, title_ids=(PILOT,)),
        ReorderEpisodes(series_id=SERIES, season_number=1, title_ids=(PILOT, PILOT)),
    ],
)
def test_an_order_that_does_not_name_each_once_is_refused(command: Any) -> None:
    catalog.given(*TWO).when(command).refused(OrderIncomplete)


def test_an_episode_moves_to_a_free_number_of_any_season() -> None:
    history = (*TWO, season(2))
    catalog.given(*history).when(MoveEpisode(series_id=SERIES, title_id=PILOT, number=EpisodeNumber(2, 5))).then(
        moved(PILOT, 2, 5)
    )
    taken = MoveEpisode(series_id=SERIES, title_id=PILOT, number=EpisodeNumber(1, 2))
    catalog.given(*history).when(taken).refused(EpisodeNumberTaken)


def test_what_is_not_there_does_not_move() -> None:
    move = MoveEpisode(series_id=SERIES, title_id=PILOT, number=EpisodeNumber(1, 5))
    catalog.given(*SERIES_WITH_SEASON).when(move).refused(TitleUnknown)
    discarded = (*SERIES_WITH_SEASON, drafted(PILOT), TitleDiscarded(**about(PILOT)))
    catalog.given(*discarded).when(move).refused(TitleIsDiscarded)


# Ordering: whatever is asked, each number is taken once, and a reordering loses and adds nothing

numbers = st.builds(EpisodeNumber, st.integers(0, 3), st.integers(0, 4))
ids = st.sampled_from([TitleId(f"e{number}") for number in range(6)])
commands = st.one_of(
    st.builds(AddSeason, series_id=st.just(SERIES), season_number=st.integers(0, 3), name=st.just("A season")),
    st.builds(publish, numbers, ids),
    st.builds(MoveEpisode, series_id=st.just(SERIES), title_id=ids, number=numbers),
    st.builds(ReorderSeasons, series_id=st.just(SERIES), season_numbers=st.permutations([1, 2, 3]).map(tuple)),
    st.builds(
        ReorderEpisodes,
        series_id=st.just(SERIES),
        season_number=st.integers(0, 3),
        title_ids=st.lists(ids, max_size=3, unique=True).map(tuple),
    ),
    st.builds(RemoveSeason, series_id=st.just(SERIES), season_number=st.integers(0, 3)),
)


@given(st.lists(commands, max_size=30))
def test_each_number_is_taken_once_and_every_episode_has_a_season(asked: Sequence[Any]) -> None:
    state: CatalogState = CATALOG.state_after(SERIES_WITH_SEASON, CATALOG.initial)
    for command in asked:
        before = len(state.episodes)
        events = _decided(command, state)
        state = CATALOG.state_after(events, state)
        assert len(state.placed) == len(state.episodes) >= before
        assert {number[0] for number in state.placed} <= set(state.seasons)
        assert all(number == season.season_number for number, season in state.seasons.items())
    assert CATALOG.thaw(CATALOG.freeze(state)) == state


def _decided(command: Any, state: CatalogState) -> list[Event]:
    try:
        return CATALOG.decide(command, state, NOON)
    except Refusal:
        return []
