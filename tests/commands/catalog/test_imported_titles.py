"""What an imported title does to one that is there."""

from typing import Any

from msgspec import structs

from commands.catalog.commands import EpisodeNumber, ImportSeason, ImportTitle
from commands.catalog.decider import CATALOG
from commands.catalog.refusals import EpisodeNumberTaken, SeriesNotPublished
from commands.decider import in_turn
from events.catalog import EpisodeMoved, SeasonAdded, SeasonRevised
from events.titles import EpisodePlace, Status
from events.types import TitleId
from tests.commands.catalog.examples import (
    FILM_DETAILS,
    MOVIE,
    NEW_YEAR,
    PILOT,
    SERIES,
    SERIES_WITH_SEASON,
    SOON,
    catalog,
    commands_to,
    drafted,
    histories,
    published,
    scheduled,
)
from tests.commands.catalog.outcomes import outcome
from tests.spec import Spec

FILM: ImportTitle = commands_to(MOVIE)["ImportTitle"]
EPISODE: ImportTitle = commands_to(PILOT)["ImportTitle"]


def importing(command: ImportTitle, **changes: Any) -> ImportTitle:
    return ImportTitle(**{**vars(command), **changes})


LATER = importing(FILM, publish=False, publish_at=SOON)
DRAFT = importing(FILM, publish=False)
OTHER = importing(FILM, details=structs.replace(FILM_DETAILS, genres=("drama",)))


def test_a_title_is_begun_as_the_file_has_it() -> None:
    catalog.given().when(FILM).then(published(MOVIE))
    catalog.given().when(DRAFT).then(drafted(MOVIE))
    catalog.given().when(LATER).then(drafted(MOVIE), scheduled(MOVIE))


def test_a_time_that_has_passed_is_now() -> None:
    catalog.given().when(LATER, now=NEW_YEAR).then(published(MOVIE))
    assert outcome(histories(MOVIE)["scheduled"], LATER, NEW_YEAR) == "TitlePublished"


def test_a_title_is_revised_when_the_file_says_something_else() -> None:
    assert outcome(histories(MOVIE)["published"], OTHER) == "TitleRevised"
    assert outcome(histories(MOVIE)["draft"], OTHER) == "TitleRevised TitlePublished"
    assert outcome(histories(MOVIE)["scheduled"], importing(LATER, publish_at=NEW_YEAR)) == "TitleScheduled"


def test_what_viewers_see_is_not_taken_away_and_what_was_withdrawn_does_not_come_back() -> None:
    assert outcome(histories(MOVIE)["published"], DRAFT) == "-"
    assert outcome(histories(MOVIE)["published"], LATER) == "-"
    assert outcome(histories(MOVIE)["withdrawn"], OTHER) == "TitleRevised"


def test_a_next_title_that_the_file_does_not_name_is_kept() -> None:
    linked = published(MOVIE, revision=1)
    linked = structs.replace(linked, details=structs.replace(FILM_DETAILS, next_title_id=TitleId("durian")))
    catalog.given(linked).when(FILM).ignored()


def test_an_episode_brings_its_season_along() -> None:
    season = SeasonAdded(series_id=SERIES, season_number=1, name="Season 1")
    catalog.given(published(TitleId(SERIES))).when(EPISODE).then(season, published(PILOT))
    special = importing(EPISODE, number=EpisodeNumber(0, 1))
    added, _ = catalog.given(published(TitleId(SERIES))).when(special).decided()
    assert added == SeasonAdded(series_id=SERIES, season_number=0, name="Specials")


def test_an_episode_moves_to_where_the_file_has_it() -> None:
    history = (*SERIES_WITH_SEASON, published(PILOT))
    there = EpisodePlace(SERIES, "Harbour", 1, 2)
    catalog.given(*history).when(importing(EPISODE, number=EpisodeNumber(1, 2))).then(
        EpisodeMoved(title_id=PILOT, place=there, status=Status.PUBLISHED)
    )
    taken = structs.replace(published(PILOT), title_id=TitleId("other"), place=there)
    catalog.given(*history, taken).when(importing(EPISODE, number=EpisodeNumber(1, 2))).refused(EpisodeNumberTaken)


def test_an_episode_is_not_published_in_a_series_that_is_not() -> None:
    catalog.given(drafted(TitleId(SERIES))).when(EPISODE).refused(SeriesNotPublished)


def test_several_commands_are_decided_in_turn_and_together() -> None:
    spec = Spec(in_turn(CATALOG))
    own = commands_to(TitleId(SERIES))["ImportTitle"]
    season = ImportSeason(series_id=SERIES, season_number=1, name="Season 1")
    again = ImportSeason(series_id=SERIES, season_number=1, name="The Tide")
    revised = SeasonRevised(series_id=SERIES, season_number=1, name="The Tide")
    spec.given().when([own, season, EPISODE]).then(*SERIES_WITH_SEASON, published(PILOT))
    spec.given(*SERIES_WITH_SEASON).when([season, again]).then(revised)
    other = importing(EPISODE, title_id=TitleId("other"))
    spec.given(*SERIES_WITH_SEASON).when([EPISODE, other]).refused(EpisodeNumberTaken)


def test_a_snapshot_of_one_is_a_snapshot_of_several() -> None:
    assert in_turn(CATALOG).digest == CATALOG.digest
