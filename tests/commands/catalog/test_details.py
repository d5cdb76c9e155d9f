"""What must hold of a title's details: texts, ratings, markers and windows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from commands.catalog.changes import DetailChanges
from commands.catalog.commands import DraftTitle, PublishTitle, ReviseTitle
from commands.catalog.details import check_details
from commands.catalog.refusals import (
    CreditsOutsideTitle,
    DurationNotAllowed,
    EpisodeNumberMissing,
    MarkerOutsideTitle,
    MaturityInvalid,
    NextTitleCycle,
    NextTitleNotAllowed,
    TerritoryUnknown,
    TextsInvalid,
    TitleIncomplete,
    TitleTooLarge,
    WindowEndsBeforeItStarts,
    WindowsOverlap,
)
from events.catalog import TitleRevised
from events.refusals import Refusal
from events.territories import TERRITORIES
from events.titles import Credit, Holdback, Kind, LocalizedText, Markers, Span, Status, open_windows
from events.types import Availability, Licence, Maturity, TitleId
from tests.commands.catalog.examples import FILM_DETAILS, MOVIE, catalog, drafted, published

JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def draft(kind: Kind = Kind.MOVIE, **changes: Any) -> DraftTitle:
    return DraftTitle(title_id=MOVIE, kind=kind, details=structs.replace(FILM_DETAILS, **changes))


@pytest.mark.parametrize(
    ("changes", "refusal", "pointer"),
    [
        ({"default_locale": "ko"}, TextsInvalid, "/default_locale"),
        ({"texts": (LocalizedText("en", "A"), LocalizedText("en", "B"))}, TextsInvalid, "/texts"),
        ({"maturity": (Maturity("KR", "18", 18),)}, MaturityInvalid, "/maturity/0"),
        ({"maturity": (Maturity("KR", "15", 12),)}, MaturityInvalid, "/maturity/0"),
        ({"maturity": (Maturity("US", "PG", 8), Maturity("US", "R", 17))}, MaturityInvalid, "/maturity/1"),
        ({"markers": Markers(intro=Span(90, 90))}, MarkerOutsideTitle, "/markers/intro"),
        ({"markers": Markers(recap=Span(0, 2**40))}, MarkerOutsideTitle, "/markers/recap"),
        ({"availability": (Availability(("KR", "ZZ")),)}, TerritoryUnknown, "/availability/0/territories"),
        ({"holdbacks": (Holdback(("UK",), Licence.SVOD),)}, TerritoryUnknown, "/holdbacks/0/territories"),
        ({"holdbacks": (Holdback(("KR",), Licence.SVOD, MARCH, JANUARY),)}, WindowEndsBeforeItStarts, "/holdbacks/0"),
        ({"availability": (Availability(("KR",), MARCH, MARCH),)}, WindowEndsBeforeItStarts, "/availability/0"),
        ({"availability": (Availability(("KR",)), Availability(("JP", "KR")))}, WindowsOverlap, "/availability/1"),
    ],
)
def test_details_that_do_not_hold_are_refused_by_name_and_place(
    changes: dict[str, Any], refusal: type[Refusal], pointer: str
) -> None:
    assert catalog.given().when(draft(**changes)).refused(refusal).members["pointer"] == pointer


@pytest.mark.parametrize("credits_start_ms", [96 * 60_000, 97 * 60_000])
def test_credits_that_begin_after_the_end_are_refused(credits_start_ms: int) -> None:
    markers = Markers(credits_start_ms=credits_start_ms)
    catalog.given().when(draft(markers=markers)).refused(CreditsOutsideTitle)


@pytest.mark.parametrize("kind", [Kind.LIVE_CHANNEL, Kind.FAST_CHANNEL, Kind.SERIES])
def test_what_does_not_end_has_no_duration_and_no_markers(kind: Kind) -> None:
    catalog.given().when(draft(kind)).refused(DurationNotAllowed)
    catalog.given().when(draft(kind, duration_ms=None)).refused(DurationNotAllowed)
    endless = draft(kind, duration_ms=None, markers=Markers())
    catalog.given().when(endless).then(structs.replace(drafted(MOVIE, duration_ms=None, markers=Markers()), kind=kind))


@pytest.mark.parametrize("value", ["ALL", "7", "12", "15", "19"])
def test_korean_ratings_stand_for_their_ages(value: str) -> None:
    rating = Maturity("KR", value, 0 if value == "ALL" else int(value))
    catalog.given().when(draft(maturity=(rating,))).then(drafted(MOVIE, maturity=(rating,)))


def test_more_than_an_event_may_hold_is_refused() -> None:
    people = tuple(Credit(f"p-{number}", "N" * 300, "extra") for number in range(900))
    catalog.given().when(draft(people=people)).refused(TitleTooLarge)


def test_a_draft_may_lack_what_it_is_published_with() -> None:
    bare = drafted(MOVIE, maturity=(), duration_ms=None, availability=(), markers=Markers())
    refusal = catalog.given(bare).when(PublishTitle(title_id=MOVIE)).refused(TitleIncomplete)
    assert refusal.members == {"missing": ["maturity", "duration_ms", "availability"]}


def test_a_published_title_cannot_lose_what_it_was_published_with() -> None:
    revise = ReviseTitle(title_id=MOVIE, changes=DetailChanges(availability=()))
    catalog.given(published(MOVIE)).when(revise).refused(TitleIncomplete)


def test_a_revision_says_what_changed_and_counts() -> None:
    changes = DetailChanges(genres=("drama",), release_year=2010, provider_id=None)
    catalog.given(published(MOVIE)).when(ReviseTitle(title_id=MOVIE, changes=changes)).then(
        TitleRevised(
            title_id=MOVIE,
            kind=Kind.MOVIE,
            details=structs.replace(FILM_DETAILS, genres=("drama",), release_year=2010),
            revision=2,
            changed=("genres", "release_year"),
            status=Status.PUBLISHED,
        )
    )


def test_a_revision_that_changes_nothing_is_ignored() -> None:
    changes = DetailChanges(texts=FILM_DETAILS.texts, next_title_id=None)
    catalog.given(published(MOVIE)).when(ReviseTitle(title_id=MOVIE, changes=changes)).ignored()


def test_an_episode_without_a_series_is_refused() -> None:
    catalog.given().when(draft(Kind.EPISODE)).refused(EpisodeNumberMissing)


@pytest.mark.parametrize("kind", [Kind.LIVE_CHANNEL, Kind.FAST_CHANNEL])
def test_a_channel_is_followed_by_nothing(kind: Kind) -> None:
    changes = {"duration_ms": None, "markers": Markers(), "next_title_id": TitleId("other")}
    catalog.given().when(draft(kind, **changes)).refused(NextTitleNotAllowed)


def test_a_title_does_not_follow_itself() -> None:
    catalog.given().when(draft(next_title_id=MOVIE)).refused(NextTitleCycle)


def test_the_territories_are_those_of_the_standard() -> None:
    assert len(TERRITORIES) == 249 + 1
    assert {"KR", "NL", "US", "XK"} <= TERRITORIES
    assert {"UK", "EU", "ZZ"}.isdisjoint(TERRITORIES)


# Windows

days = st.one_of(st.none(), st.integers(0, 12).map(lambda day: JANUARY + timedelta(days=day)))
territories = st.lists(st.sampled_from(["KR", "JP", "NL"]), min_size=1, max_size=3, unique=True).map(tuple)
licences = st.sampled_from([Licence.SVOD, Licence.AVOD])
windows = st.lists(st.builds(Availability, territories, days, days, licences), max_size=5).map(tuple)
holdbacks = st.lists(st.builds(Holdback, territories, licences, days, days), max_size=4).map(tuple)
MOMENTS = [JANUARY + timedelta(hours=12 * half) for half in range(-2, 28)]


def open_at(spans: Sequence[Availability | Holdback], moment: datetime, territory: str, licence: Licence) -> int:
    """How many of the windows are open then, there and so."""
    return sum(
        territory in span.territories
        and span.licence == licence
        and (span.starts_at is None or span.starts_at <= moment)
        and (span.ends_at is None or moment < span.ends_at)
        for span in spans
    )


def accepted(**changes: Any) -> bool:
    try:
        check_details(MOVIE, Kind.MOVIE, structs.replace(FILM_DETAILS, **changes))
    except (WindowsOverlap, WindowEndsBeforeItStarts):
        return False
    return True


@given(windows)
def test_no_two_accepted_windows_are_ever_open_together(availability: tuple[Availability, ...]) -> None:
    most = max(
        open_at(availability, moment, territory, licence)
        for moment in MOMENTS
        for territory in ("KR", "JP", "NL")
        for licence in Licence
    )
    empty = any(window.starts_at and window.ends_at and window.ends_at <= window.starts_at for window in availability)
    assert accepted(availability=availability) == (most <= 1 and not empty)


@given(windows, holdbacks)
def test_a_title_is_open_inside_its_windows_and_outside_its_holdbacks(
    availability: tuple[Availability, ...], blocks: tuple[Holdback, ...]
) -> None:
    if not accepted(availability=availability, holdbacks=blocks):
        return
    details = structs.replace(FILM_DETAILS, availability=availability, holdbacks=blocks)
    opened = [
        Availability((window.territory,), window.starts_at, window.ends_at, window.licence)
        for window in open_windows(details)
    ]
    for moment in MOMENTS:
        for territory, licence in (("KR", Licence.SVOD), ("KR", Licence.AVOD), ("JP", Licence.SVOD)):
            may = open_at(availability, moment, territory, licence) > 0
            blocked = open_at(blocks, moment, territory, licence) > 0
            assert open_at(opened, moment, territory, licence) == (1 if may and not blocked else 0)
