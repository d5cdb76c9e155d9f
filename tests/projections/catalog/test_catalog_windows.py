"""Catalog windows: when a title may be played after each event."""

from datetime import UTC, datetime

import pytest

from events.catalog import TitleDiscarded, TitleDrafted, TitleRevised, TitleScheduled, TitleUnscheduled
from events.envelope import Envelope, Event
from events.titles import Holdback, Kind, Status
from events.types import Availability, Licence, TitleId
from projections.catalog.catalog_windows import CatalogWindows, TitleWindows, Window
from projections.stores.tables import Table
from tests.builders import (
    EVENING,
    KOREA,
    episode_published,
    movie_published,
    of_catalog,
    recorded,
    series_published,
    title_details,
    title_revised,
    title_withdrawn,
)
from tests.projections.folds import project

VIEW = CatalogWindows()
JANUARY, MARCH, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 5))
HEAT = movie_published("heat")
KOREAN = TitleWindows("heat", (Window(None, "KR", "svod", JANUARY, None),))
AVOD = Availability(("KR", "US"), None, MAY, Licence.AVOD)


def of_heat(event: type[Event], **fields: object) -> Envelope[Event]:
    """An event of the film heat."""
    whole = {"details": title_details(), "revision": 2} if "details" in event.__struct_fields__ else {}
    return of_catalog(event(**{"title_id": TitleId("heat"), "kind": Kind.MOVIE, **whole, **fields}), "heat")


STEPS: list[tuple[TitleWindows | None, Envelope[Event], TitleWindows | None]] = [
    (None, HEAT, KOREAN),
    (None, of_heat(TitleDrafted), None),
    (None, of_heat(TitleScheduled, publish_at=EVENING), None),
    (None, of_heat(TitleUnscheduled, status=Status.DRAFT), None),
    (None, of_heat(TitleDiscarded), None),
    (KOREAN, title_withdrawn(HEAT), None),
    (KOREAN, title_revised(HEAT, availability=(KOREA,)), KOREAN),
    (None, of_heat(TitleRevised, changed=(), status=Status.WITHDRAWN), None),
    (
        KOREAN,
        title_revised(HEAT, availability=(AVOD,)),
        TitleWindows("heat", (Window(None, "KR", "avod", None, MAY), Window(None, "US", "avod", None, MAY))),
    ),
    (KOREAN, title_revised(HEAT, availability=()), None),
    (
        None,
        movie_published("heat", holdbacks=(Holdback(("KR",), Licence.SVOD, MARCH, MAY),)),
        TitleWindows("heat", (Window(None, "KR", "svod", JANUARY, MARCH), Window(None, "KR", "svod", MAY, None))),
    ),
    (None, episode_published(1), TitleWindows("harbour-s1e1", (Window("harbour", "KR", "svod", JANUARY, None),))),
    (None, series_published(), None),
]


@pytest.mark.parametrize(("row", "event", "after"), STEPS)
def test_an_event_makes_of_the_windows(
    row: TitleWindows | None, event: Envelope[Event], after: TitleWindows | None
) -> None:
    assert project(VIEW, [event], row) == after


def test_every_event_that_it_takes_has_a_step() -> None:
    assert {type(event.data) for _, event, _ in STEPS} == set(VIEW.events)


def test_the_key_is_the_title() -> None:
    assert VIEW.key(recorded(episode_published(1))) == "harbour-s1e1"


def test_a_list_has_one_column_of_items_and_a_record_for_each() -> None:
    table = Table(VIEW)
    assert table.columns == {"title_id": "text", "windows": "jsonb"}
    keys, windows = table.columns_of([KOREAN])
    assert keys == ("heat",)
    assert table.row_of(("heat", windows[0])) == KOREAN  # type: ignore[arg-type]  # a record is a sequence of values
    assert "jsonb_to_recordset" in table.upsert and '"starts_at" timestamptz' in table.upsert
