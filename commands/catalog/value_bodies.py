"""The parts of the catalog's request bodies: one for each value in events/titles.py."""

from typing import Annotated, Any

from pydantic import Field

from commands.fields import Body, Code, Locale, Name, NulFree
from events.titles import Credit, Holdback, Image, LocalizedText, Markers, Span
from events.types import Availability, Licence, Maturity
from infra.moments import Moment

MAX_DURATION_MS = 7 * 24 * 3600 * 1000

Synopsis = Annotated[str, Field(max_length=10_000), NulFree]
Tagline = Annotated[str, Field(max_length=300), NulFree]
Territory = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
Territories = Annotated[list[Territory], Field(min_length=1, max_length=250)]
Genre = Annotated[str, Field(max_length=50, pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
DurationMs = Annotated[int, Field(gt=0, le=MAX_DURATION_MS)]
OffsetMs = Annotated[int, Field(ge=0, le=MAX_DURATION_MS)]
Number = Annotated[int, Field(ge=0, le=10_000)]
Pixels = Annotated[int, Field(gt=0, le=100_000)]
Url = Annotated[
    str, Field(min_length=1, max_length=2_000, description="its URL, or its key in the image store"), NulFree
]

MATURITY_EXAMPLE: dict[str, Any] = {"system": "KR", "value": "12", "minimum_age": 12}
WINDOW_EXAMPLE: dict[str, Any] = {
    "territories": ["KR", "NL"],
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": None,
    "licence": "svod",
}


class MaturityBody(Body):
    """A rating as its board gave it. System KR has ALL, 7, 12, 15 and 19."""

    system: Code
    value: Code
    minimum_age: Annotated[int, Field(ge=0, le=21)]

    def value_object(self) -> Maturity:
        """As events hold it."""
        return Maturity(self.system, self.value, self.minimum_age)


class WindowBody(Body):
    """When the title may be played where, under which licence. A missing end is open."""

    territories: Territories
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    licence: Licence = Licence.SVOD

    def value_object(self) -> Availability:
        """As events hold it."""
        return Availability(tuple(self.territories), self.starts_at, self.ends_at, self.licence)


class HoldbackBody(Body):
    """When a licence is blocked in some territories, whatever the windows say."""

    territories: Territories
    licence: Licence
    starts_at: Moment | None = None
    ends_at: Moment | None = None

    def value_object(self) -> Holdback:
        """As events hold it."""
        return Holdback(tuple(self.territories), self.licence, self.starts_at, self.ends_at)


class TextBody(Body):
    """What a title is called in a language."""

    name: Name
    synopsis: Synopsis = ""
    tagline: Tagline = ""

    def value_object(self, locale: str) -> LocalizedText:
        """As events hold it."""
        return LocalizedText(locale, self.name, self.synopsis, self.tagline)


Texts = Annotated[dict[Locale, TextBody], Field(max_length=100, description="by BCP 47 locale")]


def texts_of(texts: dict[str, TextBody]) -> tuple[LocalizedText, ...]:
    """Texts as events hold them, by locale."""
    return tuple(text.value_object(locale) for locale, text in sorted(texts.items()))


class CreditBody(Body):
    """A person and what they did."""

    person_id: Code
    name: Name
    role: Code
    character: Annotated[str, Field(max_length=300), NulFree] = ""
    order: Annotated[int, Field(ge=0, le=10_000)] = 0

    def value_object(self) -> Credit:
        """As events hold it."""
        return Credit(self.person_id, self.name, self.role, self.character, self.order)


class ImageBody(Body):
    """A picture of a title; `locale`: of the words in it."""

    kind: Code
    url: Url
    width: Pixels
    height: Pixels
    locale: Locale | None = None

    def value_object(self) -> Image:
        """As events hold it."""
        return Image(self.kind, self.url, self.width, self.height, self.locale)


class SpanBody(Body):
    """A part of a title."""

    start_ms: OffsetMs
    end_ms: OffsetMs

    def value_object(self) -> Span:
        """As events hold it."""
        return Span(self.start_ms, self.end_ms)


class MarkersBody(Body):
    """Places in a title that players know how to use."""

    intro: SpanBody | None = None
    recap: SpanBody | None = None
    credits_start_ms: Annotated[int, Field(gt=0, le=MAX_DURATION_MS)] | None = None

    def value_object(self) -> Markers:
        """As events hold it."""
        return Markers(
            self.intro.value_object() if self.intro else None,
            self.recap.value_object() if self.recap else None,
            self.credits_start_ms,
        )
