"""Catalog titles: what each published thing is as a row."""

from datetime import timedelta

import msgspec

from events import titles
from events.titles import LocalizedText
from projections.catalog.catalog_titles import CatalogTitle, CatalogTitles, Season
from tests.builders import (
    EVENING,
    KOREA,
    MINUTE_MS,
    episode_moved,
    episode_published,
    movie_published,
    recorded,
    season_added,
    series_published,
    title_revised,
    title_withdrawn,
)
from tests.projections.folds import project

VIEW = CatalogTitles()


def test_a_movie_is_a_title() -> None:
    assert project(VIEW, [movie_published("heat")]) == CatalogTitle(
        title_id="heat",
        kind="movie",
        name="Night of the Living Dead",
        synopsis="A farmhouse is besieged.",
        duration_ms=96 * MINUTE_MS,
        credits_start_ms=94 * MINUTE_MS,
        maturity_system="KMRB",
        maturity_value="15",
        minimum_age=15,
        availability=(KOREA,),
        published_at=EVENING,
    )


def test_an_episode_knows_its_place_in_its_series() -> None:
    row = project(VIEW, [episode_published(3, season=2)])
    assert (row.kind, row.series_id, row.series_name, row.season_number, row.episode_number) == (
        "episode",
        "harbour",
        "Harbour",
        2,
        3,
    )


def test_a_series_is_a_row_of_its_own_without_a_duration() -> None:
    row = project(VIEW, [series_published()])
    assert (row.title_id, row.kind, row.duration_ms, row.series_id, row.seasons) == (
        "harbour",
        "series",
        None,
        None,
        (),
    )


def test_seasons_are_listed_by_number() -> None:
    row = project(VIEW, [series_published(), season_added(2), season_added(1), season_added(2, name="Two")])
    assert row.seasons == (Season(1, "Season 1"), Season(2, "Two"))


def test_a_revised_series_keeps_its_seasons_and_its_first_date() -> None:
    revised = title_revised(series_published(), texts=(LocalizedText("en", "Harbor"),))
    again = msgspec.structs.replace(revised, time=EVENING + timedelta(days=1))
    row = project(VIEW, [series_published(), season_added(1), again])
    assert (row.name, len(row.seasons), row.published_at) == ("Harbor", 1, EVENING)


def test_a_withdrawn_title_is_no_row_and_comes_back_whole() -> None:
    withdrawn = [series_published(), season_added(1), title_withdrawn(series_published())]
    assert project(VIEW, withdrawn) is None
    row = project(VIEW, [*withdrawn, series_published(seasons=(titles.Season(1, "Season 1"),))])
    assert row.seasons == (Season(1, "Season 1"),)


def test_an_episode_moves_to_another_number() -> None:
    row = project(VIEW, [episode_published(3), episode_moved("harbour-s1e3", 1, season=2)])
    assert (row.season_number, row.episode_number) == (2, 1)


def test_a_season_of_an_unknown_series_is_ignored() -> None:
    assert project(VIEW, [season_added(1)]) is None


def test_a_series_and_its_episodes_are_different_rows() -> None:
    keys = [VIEW.key(recorded(event)) for event in (series_published(), season_added(1), episode_published(1))]
    assert keys == ["harbour", "harbour", "harbour-s1e1"]
