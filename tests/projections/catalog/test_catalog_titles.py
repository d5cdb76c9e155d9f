"""Catalog titles: what each event makes of a row."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from events.catalog import (
    EpisodeMoved,
    SeasonRemoved,
    SeasonRevised,
    SeasonsReordered,
    TitleDiscarded,
    TitleDrafted,
    TitleRevised,
    TitleScheduled,
    TitleUnscheduled,
)
from events.envelope import Event
from events.titles import Credit, Kind, LocalizedText, Markers, Status
from events.titles import Season as SeasonOfEvent
from events.types import Maturity, SeriesId, TitleId
from projections.catalog.catalog_titles import CatalogTitle, CatalogTitles, Season
from tests.builders import (
    EVENING,
    KOREA,
    KR_15,
    MINUTE_MS,
    episode_moved,
    episode_published,
    movie_published,
    of_catalog,
    recorded,
    season_added,
    series_published,
    title_details,
    title_revised,
    title_withdrawn,
)
from tests.projections.folds import project

VIEW = CatalogTitles()
HEAT = TitleId("heat")
SERIES = SeriesId("harbour")
MOVIE: CatalogTitle = project(VIEW, [movie_published("heat")])
HARBOUR: CatalogTitle = project(VIEW, [series_published(), season_added(1)])
EPISODE: CatalogTitle = project(VIEW, [episode_published(1)])
ALL_AGES = Maturity("KMRB", "ALL", 0)


def of(event: type[Any], **fields: Any) -> Event:
    """An event of the film heat."""
    details = {"details": title_details("Heat")} if "details" in event.__struct_fields__ else {}
    revision = {"revision": 2} if "revision" in event.__struct_fields__ else {}
    built: Event = event(title_id=HEAT, kind=Kind.MOVIE, **details, **revision, **fields)
    return built


def changed(row: CatalogTitle, **changes: Any) -> CatalogTitle:
    return msgspec.structs.replace(row, **changes)


HEAT_2 = {"name": "Heat", "texts": title_details("Heat").texts, "sort_names": {"": "heat", "en": "heat"}, "revision": 2}
DRAFT = changed(MOVIE, status="draft", published_at=None, **HEAT_2)
SCHEDULED = changed(DRAFT, status="scheduled", publish_at=EVENING)
WITHDRAWN = changed(MOVIE, status="withdrawn")
TWO = (SeasonOfEvent(2, "Two"), SeasonOfEvent(1, "One", (LocalizedText("ko", "하나"),)))

STEPS: list[tuple[CatalogTitle | None, Event, CatalogTitle | None]] = [
    (None, of(TitleDrafted), DRAFT),
    (DRAFT, of(TitleDiscarded), None),
    (DRAFT, of(TitleScheduled, publish_at=EVENING), SCHEDULED),
    (SCHEDULED, of(TitleUnscheduled, status=Status.DRAFT), DRAFT),
    (SCHEDULED, of(TitleRevised, changed=(), status=Status.SCHEDULED), SCHEDULED),
    (SCHEDULED, movie_published("heat").data, MOVIE),
    (MOVIE, of(TitleRevised, changed=(), status=Status.PUBLISHED), changed(MOVIE, **HEAT_2)),
    (MOVIE, title_withdrawn(movie_published("heat")).data, WITHDRAWN),
    (WITHDRAWN, of(TitleScheduled, publish_at=EVENING), changed(SCHEDULED, published_at=EVENING)),
    (WITHDRAWN, movie_published("heat").data, MOVIE),
    (None, title_withdrawn(movie_published("heat")).data, None),
    (HARBOUR, season_added(0).data, changed(HARBOUR, seasons=(Season(0, "Season 0"), Season(1, "Season 1")))),
    (HARBOUR, SeasonRevised(series_id=SERIES, season_number=1, name="I"), changed(HARBOUR, seasons=(Season(1, "I"),))),
    (HARBOUR, SeasonRemoved(series_id=SERIES, season_number=1), changed(HARBOUR, seasons=())),
    (
        HARBOUR,
        SeasonsReordered(series_id=SERIES, seasons=TWO),
        changed(HARBOUR, seasons=(Season(1, "One", TWO[1].texts), Season(2, "Two"))),
    ),
    (None, season_added(1).data, None),
    (HARBOUR, series_published().data, HARBOUR),
    (EPISODE, episode_moved("harbour-s1e1", 3, season=2).data, changed(EPISODE, season_number=2, episode_number=3)),
    (None, episode_moved("harbour-s1e1", 3).data, None),
]


@pytest.mark.parametrize(("row", "event", "after"), STEPS)
def test_an_event_makes_of_a_row(row: CatalogTitle | None, event: Event, after: CatalogTitle | None) -> None:
    assert VIEW.project(row, recorded(of_catalog(event, "heat"))) == after


def test_every_event_that_it_takes_has_a_step() -> None:
    assert {type(event) for _, event, _ in STEPS} == set(VIEW.events)


def test_a_movie_is_a_row_with_all_that_editors_said() -> None:
    texts = (LocalizedText("en", "The Night", "Dark."), LocalizedText("ko", "밤", "어둡다."))
    details: dict[str, Any] = {
        "texts": texts,
        "genres": ("drama",),
        "people": (Credit("p-1", "Bong", "director"),),
        "release_year": 1968,
        "provider_id": "one",
        "external_id": "tt-1",
        "next_title_id": TitleId("dawn"),
        "original_language": "en",
    }
    assert project(VIEW, [movie_published("heat", **details)]) == CatalogTitle(
        title_id="heat",
        kind="movie",
        status="published",
        revision=1,
        name="The Night",
        synopsis="Dark.",
        default_locale="en",
        sort_names={"": "night", "en": "night", "ko": "밤"},
        duration_ms=96 * MINUTE_MS,
        credits_start_ms=94 * MINUTE_MS,
        markers=Markers(credits_start_ms=94 * MINUTE_MS),
        maturity_system="KMRB",
        maturity_value="15",
        minimum_age=15,
        ratings=(KR_15,),
        availability=(KOREA,),
        holdbacks=(),
        images=(),
        published_at=EVENING,
        **details,
    )


def test_an_episode_knows_its_place_in_its_series() -> None:
    row = project(VIEW, [episode_published(3, season=2)])
    place = (row.kind, row.series_id, row.series_name, row.season_number, row.episode_number)
    assert place == ("episode", "harbour", "Harbour", 2, 3)


@pytest.mark.parametrize(
    ("ratings", "strictest"),
    [((ALL_AGES, KR_15), ("KMRB", "15", 15)), ((ALL_AGES,), ("KMRB", "ALL", 0)), ((), (None, None, None))],
)
def test_of_several_ratings_the_strictest_is_filtered_by(
    ratings: tuple[Maturity, ...], strictest: tuple[object, ...]
) -> None:
    row = project(VIEW, [movie_published(maturity=ratings)])
    assert (row.maturity_system, row.maturity_value, row.minimum_age) == strictest
    assert row.ratings == ratings


def test_a_title_keeps_the_date_when_it_was_published_first() -> None:
    film = movie_published("heat")
    later = msgspec.structs.replace(film, time=EVENING + timedelta(days=9))
    row = project(VIEW, [film, title_revised(film, genres=("drama",)), title_withdrawn(film), later])
    assert (row.status, row.published_at) == ("published", EVENING)


def test_a_series_published_again_says_which_seasons_it_has() -> None:
    again = series_published(name="Harbor", seasons=TWO)
    row = project(VIEW, [series_published(), season_added(3), again])
    assert (row.name, [season.number for season in row.seasons]) == ("Harbor", [1, 2])


def test_a_series_and_its_episodes_are_different_rows() -> None:
    moved = EpisodeMoved(title_id=TitleId("e"), place=episode_place(), status=Status.PUBLISHED)
    events = (series_published(), season_added(1), episode_published(1), of_catalog(moved, "harbour"))
    assert [VIEW.key(recorded(event)) for event in events] == ["harbour", "harbour", "harbour-s1e1", "e"]


def episode_place() -> Any:
    return recorded(episode_published(1)).data.place  # type: ignore[attr-defined]
