"""All that an editor can say of a title, as a request body; what is not said stays out, or as it is."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from commands.catalog.changes import DetailChanges
from commands.catalog.value_bodies import (
    MATURITY_EXAMPLE,
    WINDOW_EXAMPLE,
    CreditBody,
    DurationMs,
    Genre,
    HoldbackBody,
    ImageBody,
    MarkersBody,
    MaturityBody,
    Texts,
    WindowBody,
    texts_of,
)
from commands.fields import Body, Code, Id, Locale
from events.titles import TitleDetails
from events.types import TitleId

DEFAULT_LOCALE = "en"

Windows = Annotated[tuple[WindowBody, ...], Field(max_length=100)]

DETAILS_EXAMPLE: dict[str, Any] = {
    "default_locale": "ko",
    "texts": {
        "ko": {"name": "밤의 여객선", "synopsis": "아홉 시간의 항해.", "tagline": "아무도 내리지 않는다."},
        "en": {"name": "Night Ferry", "synopsis": "Nine hours at sea."},
    },
    "maturity": [
        {"system": "KR", "value": "15", "minimum_age": 15},
        MATURITY_EXAMPLE | {"system": "US", "value": "PG"},
    ],
    "genres": ["thriller", "mystery"],
    "people": [{"person_id": "p-17", "name": "Han Seo-yun", "role": "actor", "character": "The Steward", "order": 0}],
    "images": [{"kind": "poster", "url": "posters/night-ferry-ko.jpg", "width": 1000, "height": 1500, "locale": "ko"}],
    "duration_ms": 5_760_000,
    "markers": {"intro": {"start_ms": 30_000, "end_ms": 90_000}, "credits_start_ms": 5_500_000},
    "availability": [WINDOW_EXAMPLE],
    "holdbacks": [{"territories": ["NL"], "licence": "svod", "ends_at": "2026-03-01T00:00:00Z"}],
    "provider_id": "harbour-pictures",
    "original_language": "ko",
    "release_year": 2026,
}


class MoreBody(Body):
    """What may be said of every title, and of none must."""

    genres: Annotated[tuple[Genre, ...], Field(max_length=50)] = ()
    people: Annotated[tuple[CreditBody, ...], Field(max_length=500)] = ()
    images: Annotated[tuple[ImageBody, ...], Field(max_length=200)] = ()
    holdbacks: Annotated[tuple[HoldbackBody, ...], Field(max_length=100)] = ()
    next_title_id: Id | None = None
    provider_id: Code | None = None
    original_language: Locale | None = None
    release_year: Annotated[int, Field(ge=1870, le=2200)] | None = None
    external_id: Code | None = None

    def more(self) -> dict[str, Any]:
        """These fields as events hold them."""
        return {
            "genres": tuple(dict.fromkeys(self.genres)),
            "people": tuple(person.value_object() for person in self.people),
            "images": tuple(image.value_object() for image in self.images),
            "holdbacks": tuple(holdback.value_object() for holdback in self.holdbacks),
            "next_title_id": TitleId(self.next_title_id) if self.next_title_id else None,
            "provider_id": self.provider_id,
            "original_language": self.original_language,
            "release_year": self.release_year,
            "external_id": self.external_id,
        }


class DetailsBody(MoreBody):
    """All of a title's details."""

    default_locale: Locale = DEFAULT_LOCALE
    texts: Annotated[Texts, Field(min_length=1)]
    maturity: Annotated[tuple[MaturityBody, ...], Field(max_length=50)] = ()
    duration_ms: DurationMs | None = None
    markers: MarkersBody = MarkersBody()
    availability: Windows = ()

    def details(self) -> TitleDetails:
        """As events hold them."""
        return TitleDetails(**self.values())

    def values(self) -> dict[str, Any]:
        """All fields as events hold them."""
        return {
            **self.more(),
            "default_locale": self.default_locale,
            "texts": texts_of(self.texts),
            "maturity": tuple(rating.value_object() for rating in self.maturity),
            "duration_ms": self.duration_ms,
            "markers": self.markers.value_object(),
            "availability": tuple(window.value_object() for window in self.availability),
        }


class RevisionBody(DetailsBody):
    """The details that are to be others; a field that is given replaces all of what was there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"genres": ["thriller"], "markers": {"credits_start_ms": 5_520_000}, "next_title_id": None}]
        }
    )

    texts: Annotated[Texts, Field(min_length=1, default_factory=dict)]

    def changes(self) -> DetailChanges:
        """Those that were given."""
        return DetailChanges(**{name: value for name, value in self.values().items() if name in self.model_fields_set})
