"""What will be published when: a title is in the schedule exactly while it has a time."""

from datetime import timedelta

import pytest

from events.catalog import TitleDiscarded, TitlePublished, TitleScheduled, TitleUnscheduled
from events.envelope import Event
from events.titles import Kind, Status
from events.types import TitleId
from projections.catalog.catalog_schedule import CatalogSchedule, ScheduledTitle
from tests.builders import EVENING, of_catalog, place_of, title_details
from tests.projections.folds import project

VIEW = CatalogSchedule()
FILM = TitleId("heat")
SOON = EVENING + timedelta(hours=1)
LATER = EVENING + timedelta(days=1)


def scheduled(at_hour: int = 1) -> TitleScheduled:
    return TitleScheduled(
        title_id=FILM,
        kind=Kind.MOVIE,
        details=title_details(),
        revision=1,
        publish_at=EVENING + timedelta(hours=at_hour),
    )


def test_a_scheduled_title_has_its_time() -> None:
    row = project(VIEW, [of_catalog(scheduled(), "heat")])
    assert row == ScheduledTitle(title_id="heat", series_id=None, publish_at=SOON)


def test_the_last_time_counts() -> None:
    row = project(VIEW, [of_catalog(scheduled(), "heat"), of_catalog(scheduled(24), "heat")])
    assert row.publish_at == LATER


def test_an_episode_is_found_in_its_series() -> None:
    event = TitleScheduled(
        title_id=TitleId("pilot"),
        kind=Kind.EPISODE,
        place=place_of(1),
        details=title_details(),
        revision=1,
        publish_at=SOON,
    )
    assert project(VIEW, [of_catalog(event, "harbour")]).series_id == "harbour"


@pytest.mark.parametrize(
    "event",
    [
        TitlePublished(title_id=FILM, kind=Kind.MOVIE, details=title_details()),
        TitleUnscheduled(title_id=FILM, kind=Kind.MOVIE, status=Status.DRAFT),
        TitleDiscarded(title_id=FILM, kind=Kind.MOVIE),
    ],
)
def test_a_title_that_has_no_time_any_more_is_no_row(event: Event) -> None:
    assert project(VIEW, [of_catalog(scheduled(), "heat"), of_catalog(event, "heat")]) is None
    assert project(VIEW, [of_catalog(event, "heat")]) is None
