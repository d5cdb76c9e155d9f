"""Catalog queries over a real Postgres, whose views the projection's own engine filled from events."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from events.catalog import TitleDrafted, TitleScheduled
from events.titles import Credit, Holdback, LocalizedText
from events.types import Availability, Licence, Maturity, TitleId
from infra.access.permissions import Principal
from infra.clock import utc_now
from infra.ids import new_id
from tests.builders import envelope, movie_published, title_revised
from tests.builders import title_withdrawn as withdrawn
from tests.integration.catalog_views import CatalogViews
from tests.integration.query_api_stores import QueryApi, viewer
from tests.query_api.catalog.samples import FOUND, NAMES, SERIES_ID, published

pytestmark = pytest.mark.integration

EDITOR = Principal(subject="editor", roles=("editor",))
ANYONE = viewer("viewer-1")
NOW = utc_now()
TERRITORY = "ZZ"  # of the bilingual catalog alone, so that other tests' titles are not found in it
HERE = (Availability((TERRITORY,), NOW - timedelta(days=30)),)


@pytest.fixture(scope="module")
async def bilingual(views: CatalogViews) -> AsyncIterator[str]:
    """The mark before the ids of the bilingual catalog, while it is published."""
    mark = f"{new_id()}-"
    where = {title_id: {} if title_id == SERIES_ID else {"availability": HERE} for title_id in NAMES}
    events = [published(title_id, mark, **where[title_id]) for title_id in NAMES]
    await views.apply(events)
    yield mark
    await views.apply([withdrawn(event) for event in events])


async def items(query_api: QueryApi, path: str, **more: Any) -> list[dict[str, Any]]:
    response = await query_api.get(path, who=more.get("who", ANYONE))
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["items"]
    return found


def ids(found: list[dict[str, Any]], mark: str = "") -> list[str]:
    return [str(item["title_id"]).removeprefix(mark) for item in found]


@pytest.mark.parametrize(("typed", "found"), FOUND)
async def test_search_finds_titles_in_order(query_api: QueryApi, bilingual: str, typed: str, found: list[str]) -> None:
    path = f"/v1/catalog/search?territory={TERRITORY}&q="
    assert ids(await items(query_api, path + typed), bilingual) == found


async def test_search_shows_only_what_can_be_played_where_it_is_asked(query_api: QueryApi, bilingual: str) -> None:
    assert ids(await items(query_api, "/v1/catalog/search?territory=XX&q=sintel")) == []
    anywhere = ids(await items(query_api, "/v1/catalog/search?q=sintel&limit=100"), bilingual)
    assert "sintel" in anywhere


async def test_search_answers_in_the_readers_language_within_the_limit(query_api: QueryApi, bilingual: str) -> None:
    headers = {"Accept-Language": "ko-KR, en;q=0.5"}
    found = await query_api.get(f"/v1/catalog/search?territory={TERRITORY}&q=spring&limit=2", ANYONE, headers)
    assert [item["name"] for item in found.json()["items"]] == ["봄", "봄날의 흥정"]


async def test_a_revised_title_is_found_by_its_new_name_only(views: CatalogViews, query_api: QueryApi) -> None:
    film = movie_published(new_id(), texts=(LocalizedText("en", "Zanzibar Quartet"),))
    await views.apply([film, title_revised(film, texts=(LocalizedText("en", "Kilimanjaro Quintet"),))])
    film_id = film.data.title_id  # type: ignore[attr-defined]
    assert ids(await items(query_api, "/v1/catalog/search?q=zanzibar quartet")) == []
    assert film_id in ids(await items(query_api, "/v1/catalog/search?q=kilimanjaro"))


async def test_a_withdrawn_title_is_nowhere_until_it_is_published_again(
    views: CatalogViews, query_api: QueryApi
) -> None:
    film_id = new_id()
    where = "ZW"
    opened = Availability((where,), NOW - timedelta(days=1))
    opening = Availability((where,), NOW + timedelta(days=2), licence=Licence.EST)
    texts = (LocalizedText("en", "Vanishing Lighthouse"),)
    film = movie_published(film_id, texts=texts, availability=(opened, opening))
    lists = [
        "/v1/catalog/search?q=vanishing lighthouse",
        f"/v1/catalog/titles?territory={where}",
        f"/v1/catalog/available-now?territory={where}",
        f"/v1/catalog/coming-soon?territory={where}&licence=est",
    ]
    for events, there in (([film], True), ([withdrawn(film)], False), ([film], True)):
        await views.apply(events)
        assert [film_id in ids(await items(query_api, path)) for path in lists] == [there] * len(lists)
        page = await query_api.get(f"/v1/catalog/titles/{film_id}", who=ANYONE)
        assert page.status_code == (200 if there else 404)
    await views.apply([withdrawn(film)])
    assert (await query_api.get(f"/v1/catalog/titles/{film_id}", who=EDITOR)).json()["status"] == "withdrawn"


async def test_a_draft_is_shown_to_editors_only_and_so_is_what_is_scheduled(
    views: CatalogViews, query_api: QueryApi
) -> None:
    title_id = TitleId(new_id())
    film: Any = movie_published(title_id).data
    drafted = TitleDrafted(title_id=title_id, kind=film.kind, details=film.details)
    scheduled = TitleScheduled(title_id=title_id, kind=film.kind, details=film.details, revision=1, publish_at=NOW)
    for event, status in ((drafted, "draft"), (scheduled, "scheduled")):
        await views.apply([envelope(event)])
        assert (await query_api.get(f"/v1/catalog/titles/{title_id}", who=ANYONE)).status_code == 404
        assert (await query_api.get(f"/v1/catalog/titles/{title_id}", who=EDITOR)).json()["status"] == status
        assert title_id not in ids(await items(query_api, "/v1/catalog/titles?limit=100"))


GENRE = new_id()


@pytest.fixture(scope="module")
async def shelf(views: CatalogViews) -> dict[str, str]:
    """Six films of one genre that differ in what can be filtered, by a name each."""
    kr, us = Availability(("KR",), NOW - timedelta(days=9)), Availability(("US",), None, NOW + timedelta(days=9))
    rent = Availability(("KR",), NOW + timedelta(days=3), licence=Licence.TVOD)
    differences: dict[str, dict[str, Any]] = {
        "apple": {"release_year": 1999, "availability": (kr,), "provider_id": "one"},
        "banana": {"release_year": 2005, "availability": (us,), "maturity": ()},
        "cherry": {"release_year": 2010, "availability": (kr, us), "people": (Credit("p-7", "Bong", "director"),)},
        "date": {"release_year": None, "availability": (rent,), "maturity": (Maturity("KMRB", "ALL", 0),)},
        "elder": {"release_year": 2020, "availability": (kr,), "holdbacks": (Holdback(("KR",), Licence.SVOD),)},
        "fig": {"release_year": 2020, "availability": (kr, rent), "provider_id": "one"},
    }
    mark = new_id()
    korean = {"apple": "하", "banana": "나", "cherry": "다"}
    for number, (name, details) in enumerate(differences.items()):
        korean_texts = [LocalizedText("ko", korean[name])] if name in korean else []
        texts = (LocalizedText("en", f"The {name}"), *korean_texts)
        film = movie_published(f"{mark}-{name}", genres=(GENRE,), texts=texts, **details)
        await views.apply([msgspec.structs.replace(film, time=NOW + timedelta(seconds=number))])
    return {name: f"{mark}-{name}" for name in differences}


FILTERED = [
    ("", "fig elder date cherry banana apple"),
    ("&territory=KR", "fig cherry apple"),
    ("&territory=US", "cherry banana"),
    ("&territory=KR&licence=tvod", ""),
    (f"&territory=KR&licence=tvod&at={(NOW + timedelta(days=4)).strftime('%Y-%m-%dT%H:%M:%SZ')}", "fig date"),
    (f"&territory=US&at={(NOW + timedelta(days=10)).strftime('%Y-%m-%dT%H:%M:%SZ')}", ""),
    ("&licence=svod", "fig cherry banana apple"),
    ("&maximum_age=12", "date"),
    ("&maximum_age=15", "fig elder date cherry apple"),
    ("&provider=one", "fig apple"),
    ("&person=p-7", "cherry"),
    ("&released_after=2010", "fig elder cherry"),
    ("&released_after=2000&released_before=2010", "cherry banana"),
    ("&kind=series", ""),
    ("&kind=movie&provider=one&released_before=1999", "apple"),
    ("&sort=release_year", "fig elder cherry banana apple date"),
    ("&sort=name", "apple banana cherry date elder fig"),
]


@pytest.mark.parametrize(("query", "expected"), FILTERED, ids=range(len(FILTERED)))
async def test_titles_are_filtered_and_sorted_and_paged(
    query_api: QueryApi, shelf: dict[str, str], query: str, expected: str
) -> None:
    wanted = [shelf[name] for name in expected.split()]
    for limit in (2, 100):
        pages = await query_api.pages(f"/v1/catalog/titles?genre={GENRE}{query}&limit={limit}", who=ANYONE)
        found = [str(item["title_id"]) for page in pages for item in page]
        assert found == wanted


KOREAN_LAST = "date elder fig banana cherry apple"
ENGLISH = "apple banana cherry date elder fig"


@pytest.mark.parametrize(("language", "expected"), [("ko", KOREAN_LAST), ("ko-KR", KOREAN_LAST), ("fr", ENGLISH)])
async def test_names_are_sorted_in_the_readers_language(
    query_api: QueryApi, shelf: dict[str, str], language: str, expected: str
) -> None:
    found = await query_api.get(f"/v1/catalog/titles?genre={GENRE}&sort=name", ANYONE, {"Accept-Language": language})
    assert ids(found.json()["items"]) == [shelf[name] for name in expected.split()]


@pytest.mark.parametrize("other", ["&territory=KR", "&sort=name", "&released_after=1990", "&kind=movie"])
async def test_a_cursor_is_good_for_its_filters_only(query_api: QueryApi, shelf: dict[str, str], other: str) -> None:
    path = f"/v1/catalog/titles?genre={GENRE}&limit=2"
    cursor = (await query_api.get(path, who=ANYONE)).json()["next_cursor"]
    assert (await query_api.get(f"{path}&cursor={cursor}", who=ANYONE)).status_code == 200
    assert (await query_api.get(f"{path}{other}&cursor={cursor}", who=ANYONE)).status_code == 400


async def test_available_now_says_until_when_and_how(views: CatalogViews, query_api: QueryApi) -> None:
    mark, where = new_id(), "ZA"
    closing = NOW + timedelta(days=5)
    rent = Availability((where,), None, NOW + timedelta(days=2), Licence.TVOD)
    two, past = (Availability((where,), None, closing), rent), (Availability((where,), None, NOW - timedelta(days=1)),)
    given = {"two": two, "past": past}
    await views.apply([movie_published(f"{mark}-{name}", availability=windows) for name, windows in given.items()])
    (found,) = await items(query_api, f"/v1/catalog/available-now?territory={where}")
    assert (found["title_id"], found["licences"]) == (f"{mark}-two", ["svod", "tvod"])
    assert datetime.fromisoformat(found["until"]) == closing
    assert await items(query_api, f"/v1/catalog/available-now?territory={where}&kind=short") == []


async def test_coming_soon_lists_what_opens_the_soonest_first(views: CatalogViews, query_api: QueryApi) -> None:
    mark, where = new_id(), "ZC"
    openings = {"late": 20, "soon": 2, "sooner": 1, "beyond": 40, "open": -1}
    for name, days in openings.items():
        window = Availability((where,), NOW + timedelta(days=days))
        again = Availability((where,), NOW + timedelta(days=3), licence=Licence.AVOD)
        await views.apply([movie_published(f"{mark}-{name}", availability=(window, again) if days < 0 else (window,))])
    path = f"/v1/catalog/coming-soon?territory={where}"
    for limit in (1, 100):
        pages = await query_api.pages(f"{path}&limit={limit}", who=ANYONE)
        assert ids([item for page in pages for item in page], f"{mark}-") == ["sooner", "soon", "late"]
    assert ids(await items(query_api, f"{path}&days=2"), f"{mark}-") == ["sooner", "soon"]
    assert ids(await items(query_api, f"{path}&licence=avod"), f"{mark}-") == ["open"]


async def test_a_title_page_is_in_the_first_language_that_it_has(views: CatalogViews, query_api: QueryApi) -> None:
    title_id = new_id()
    texts = (
        LocalizedText("en", "Parasite", "A family finds work.", "Act like you own the place."),
        LocalizedText("ko", "기생충"),
        LocalizedText("zh-Hant", "寄生上流", "一家人。"),
    )
    await views.apply([movie_published(title_id, texts=texts, genres=("drama",), release_year=2019)])
    chosen = {"ko-KR": "기생충", "zh-Hant-TW, ko": "寄生上流", "de, en-GB;q=0.5": "Parasite", "": "Parasite"}
    for header, name in chosen.items():
        reply = await query_api.get(f"/v1/catalog/titles/{title_id}", ANYONE, {"Accept-Language": header})
        page = reply.json()
        assert (page["name"], reply.headers["content-language"]) == (name, page["locale"])
        assert page["synopsis"] == ("一家人。" if name == "寄生上流" else "A family finds work.")
    assert (page["tagline"], page["genres"], page["locales"]) == (texts[0].tagline, ["drama"], ["en", "ko", "zh-Hant"])
    assert page["maturity"] == {"system": "KMRB", "value": "15", "minimum_age": 15}
