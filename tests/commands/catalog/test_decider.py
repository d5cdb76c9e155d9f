"""What the catalog allows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from commands.catalog.decider import CATALOG, AddSeason, PublishEpisode, PublishMovie, PublishSeries
from commands.catalog.refusals import (
    AlreadyPublished,
    CreditsOutsideTitle,
    EpisodeNumberTaken,
    SeasonUnknown,
    SeriesUnknown,
    WindowEndsBeforeItStarts,
)
from events.catalog import SeasonAdded, TitlePublished
from events.titles import EpisodePlace, Kind, LocalizedText, Markers, TitleDetails
from events.types import Availability, Maturity, SeriesId, TitleId
from tests.spec import Spec

catalog = Spec(CATALOG)

ALL_AGES = Maturity("KR", "ALL", 0)
KOREA = Availability(("KR",))
SINTEL = PublishMovie(
    title_id=TitleId("sintel"),
    name="Sintel",
    synopsis="A girl looks for her dragon.",
    duration_ms=888_000,
    credits_start_ms=740_000,
    maturity=ALL_AGES,
    availability=(KOREA,),
)
HARBOUR = PublishSeries(series_id=SeriesId("harbour"), name="Harbour", synopsis="A town waits.", maturity=ALL_AGES)
FIRST_SEASON = AddSeason(series_id=SeriesId("harbour"), season_number=1, name="Season 1")
PILOT = PublishEpisode(
    series_id=SeriesId("harbour"),
    title_id=TitleId("harbour-1-1"),
    season_number=1,
    episode_number=1,
    name="Pilot",
    synopsis="The tide goes out.",
    duration_ms=2_400_000,
    credits_start_ms=None,
    maturity=ALL_AGES,
    availability=(KOREA,),
)

sintel_published = TitlePublished(
    title_id=SINTEL.title_id,
    kind=Kind.MOVIE,
    details=TitleDetails(
        default_locale="en",
        texts=(LocalizedText("en", "Sintel", SINTEL.synopsis),),
        maturity=(ALL_AGES,),
        duration_ms=888_000,
        markers=Markers(credits_start_ms=740_000),
        availability=(KOREA,),
    ),
)
harbour_published = TitlePublished(
    title_id=TitleId("harbour"),
    kind=Kind.SERIES,
    details=TitleDetails(
        default_locale="en", texts=(LocalizedText("en", "Harbour", HARBOUR.synopsis),), maturity=(ALL_AGES,)
    ),
)
first_season_added = SeasonAdded(**vars(FIRST_SEASON))
pilot_published = TitlePublished(
    title_id=PILOT.title_id,
    kind=Kind.EPISODE,
    place=EpisodePlace(SeriesId("harbour"), "Harbour", 1, 1),
    details=TitleDetails(
        default_locale="en",
        texts=(LocalizedText("en", "Pilot", PILOT.synopsis),),
        maturity=(ALL_AGES,),
        duration_ms=2_400_000,
        availability=(KOREA,),
    ),
)


def test_a_movie_is_published() -> None:
    catalog.given().when(SINTEL).then(sintel_published)


def test_publishing_the_same_movie_twice_is_ignored() -> None:
    catalog.given(sintel_published).when(SINTEL).ignored()


def test_another_movie_under_the_same_id_is_refused() -> None:
    catalog.given(sintel_published).when(replace(SINTEL, name="Durian")).refused(AlreadyPublished)


@pytest.mark.parametrize("credits_start_ms", [888_000, 900_000])
def test_credits_that_begin_after_the_end_are_refused(credits_start_ms: int) -> None:
    catalog.given().when(replace(SINTEL, credits_start_ms=credits_start_ms)).refused(CreditsOutsideTitle)


def test_a_window_that_ends_before_it_starts_is_refused_by_its_place() -> None:
    empty = Availability(("KR",), datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    refusal = catalog.given().when(replace(SINTEL, availability=(KOREA, empty))).refused(WindowEndsBeforeItStarts)
    assert refusal.members == {"pointer": "/availability/1"}


def test_a_series_grows_by_seasons_and_episodes() -> None:
    catalog.given().when(HARBOUR).then(harbour_published)
    catalog.given(harbour_published).when(FIRST_SEASON).then(first_season_added)
    catalog.given(harbour_published, first_season_added).when(PILOT).then(pilot_published)


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((harbour_published,), HARBOUR),
        ((harbour_published, first_season_added), FIRST_SEASON),
        ((harbour_published, first_season_added, pilot_published), PILOT),
    ],
)
def test_what_is_so_already_is_ignored(history: tuple[object, ...], command: PublishSeries) -> None:
    catalog.given(*history).when(command).ignored()


@pytest.mark.parametrize("command", [FIRST_SEASON, PILOT])
def test_nothing_is_added_to_a_series_that_was_never_published(command: AddSeason) -> None:
    catalog.given().when(command).refused(SeriesUnknown)


def test_an_episode_of_a_season_that_is_not_there_is_refused_with_those_that_are() -> None:
    refusal = (
        catalog.given(harbour_published, first_season_added)
        .when(replace(PILOT, season_number=2))
        .refused(SeasonUnknown)
    )
    assert refusal.members == {"seasons": [1]}


def test_a_second_episode_of_the_same_number_is_refused_with_the_first() -> None:
    refusal = (
        catalog.given(harbour_published, first_season_added, pilot_published)
        .when(replace(PILOT, title_id=TitleId("other")))
        .refused(EpisodeNumberTaken)
    )
    assert refusal.members == {"title_id": "harbour-1-1"}
