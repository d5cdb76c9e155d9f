"""Catalog search: what a title is found by after each event."""

import pytest

from events.catalog import TitleDiscarded, TitleDrafted, TitleRevised, TitleScheduled, TitleUnscheduled
from events.envelope import Envelope, Event
from events.titles import Credit, Kind, LocalizedText, Status
from events.types import TitleId
from projections.catalog.catalog_search import CatalogSearch, Entry, SearchDocument
from tests.builders import (
    EVENING,
    episode_published,
    movie_published,
    of_catalog,
    recorded,
    title_details,
    title_revised,
    title_withdrawn,
)
from tests.projections.folds import project

VIEW = CatalogSearch()
TEXTS = (LocalizedText("en", "The Sintel!"), LocalizedText("ko", "신 텔"), LocalizedText("fr", "Sintel, The"))
HEAT = movie_published("heat", texts=TEXTS, people=(Credit("p-1", "Colin Levy", "director"),))
FOUND: SearchDocument = project(VIEW, [HEAT])
RENAMED: SearchDocument = project(VIEW, [movie_published("heat", texts=(LocalizedText("en", "Heat"),))])


def of_heat(event: type[Event], **fields: object) -> Envelope[Event]:
    """An event of the film heat."""
    whole = {"details": title_details(), "revision": 2} if "details" in event.__struct_fields__ else {}
    return of_catalog(event(**{"title_id": TitleId("heat"), "kind": Kind.MOVIE, **whole, **fields}), "heat")


STEPS: list[tuple[SearchDocument | None, Envelope[Event], SearchDocument | None]] = [
    (None, HEAT, FOUND),
    (None, of_heat(TitleDrafted), None),
    (None, of_heat(TitleScheduled, publish_at=EVENING), None),
    (None, of_heat(TitleUnscheduled, status=Status.WITHDRAWN), None),
    (None, of_heat(TitleDiscarded), None),
    (FOUND, title_withdrawn(HEAT), None),
    (FOUND, title_revised(HEAT, texts=(LocalizedText("en", "Heat"),), people=()), RENAMED),
    (None, of_heat(TitleRevised, changed=(), status=Status.WITHDRAWN), None),
    (FOUND, title_revised(HEAT, texts=(LocalizedText("en", "!!!"),), people=()), None),
]


@pytest.mark.parametrize(("row", "event", "after"), STEPS)
def test_an_event_makes_of_the_document(
    row: SearchDocument | None, event: Envelope[Event], after: SearchDocument | None
) -> None:
    assert project(VIEW, [event], row) == after


def test_every_event_that_it_takes_has_a_step() -> None:
    assert {type(event.data) for _, event, _ in STEPS} == set(VIEW.events)


def test_a_title_is_found_by_its_names_in_every_language_and_its_people() -> None:
    assert FOUND.entries == (
        Entry("name", "the sintel"),
        Entry("name", "신 텔"),
        Entry("name", "sintel the"),
        Entry("person", "colin levy"),
    )
    assert (FOUND.shortest, FOUND.keyed) == (2, "the sintel tls xpf sintel the")
    assert {"=thesintel", "'colin", '"신텔', "!ㅅㅌ"} <= set(FOUND.tokens.split())


def test_a_change_that_search_does_not_see_writes_nothing() -> None:
    assert project(VIEW, [title_revised(HEAT, genres=("drama",))], FOUND) is FOUND


def test_the_key_is_the_title() -> None:
    assert VIEW.key(recorded(episode_published(1))) == "harbour-s1e1"
