"""Withdrawn titles: what each event makes of a row."""

from datetime import timedelta

import msgspec
import pytest

from events.envelope import Envelope, Event
from projections.catalog.catalog_withdrawn import CatalogWithdrawn, WithdrawnTitle
from projections.views import Shelf
from tests.builders import EVENING, episode_published, movie_published, recorded, series_published, title_withdrawn
from tests.projections.folds import project

VIEW = CatalogWithdrawn(most_rows=10, ttl_s=60)
FILM = movie_published("heat")
GONE = title_withdrawn(FILM)
BACK = msgspec.structs.replace(FILM, time=EVENING + timedelta(days=1))
WITHDRAWN = WithdrawnTitle(True, EVENING)

STEPS: list[tuple[WithdrawnTitle | None, Envelope[Event], WithdrawnTitle | None]] = [
    (None, FILM, None),
    (None, GONE, WITHDRAWN),
    (WITHDRAWN, GONE, WITHDRAWN),
    (WITHDRAWN, BACK, WithdrawnTitle(False, EVENING + timedelta(days=1))),
    (WithdrawnTitle(False, EVENING), GONE, WITHDRAWN),
]


@pytest.mark.parametrize(("row", "event", "after"), STEPS)
def test_an_event_makes_of_a_row(
    row: WithdrawnTitle | None, event: Envelope[Event], after: WithdrawnTitle | None
) -> None:
    assert project(VIEW, [event], row) == after


def test_every_event_that_it_takes_has_a_step() -> None:
    assert {type(event.data) for _, event, _ in STEPS} == set(VIEW.events)


def test_all_titles_are_in_one_hash() -> None:
    events = (title_withdrawn(series_published()), title_withdrawn(episode_published(1)))
    assert [VIEW.key(recorded(event)) for event in events] == [Shelf("all", "harbour"), Shelf("all", "harbour-s1e1")]
    assert VIEW.updated_at(WITHDRAWN) == EVENING
