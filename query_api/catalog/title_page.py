"""The page of one title: all that is known of it, in the reader's language. Postgres table catalog_titles."""

from datetime import datetime
from typing import Any, Final, Literal

import asyncpg
import msgspec
from pydantic import BaseModel, Field

from query_api.catalog.cards import (
    CARD_EXAMPLE,
    COLUMNS,
    FROM,
    Card,
    Licence,
    MaturityModel,
    TitleCard,
    card_values,
    raw,
    texts_of,
)
from query_api.catalog.locales import Locales, Text

TITLE_COLUMNS: Final = f"""
    {COLUMNS}, t.status, t.revision, t.markers, t.ratings, t.availability, t.holdbacks, t.people, t.seasons,
    t.next_title_id, t.provider_id, t.original_language, t.external_id, t.publish_at
"""
TITLE: Final = f"select {TITLE_COLUMNS} from {FROM} where t.title_id = $1"

EXAMPLE: Final[dict[str, Any]] = {
    **CARD_EXAMPLE,
    "tagline": "",
    "status": "published",
    "revision": 3,
    "markers": {"intro": {"start_ms": 30_000, "end_ms": 75_000}, "recap": None, "credits_start_ms": 1_440_000},
    "ratings": [{"system": "KMRB", "value": "12", "minimum_age": 12}],
    "availability": [
        {"territories": ["KR", "US"], "licence": "svod", "starts_at": "2026-01-01T00:00:00Z", "ends_at": None}
    ],
    "holdbacks": [],
    "people": [{"person_id": "p-1", "name": "Kim Ji-woo", "role": "actor", "character": "Mina", "order": 0}],
    "locales": ["en", "ko"],
    "seasons": [],
    "next_title_id": None,
    "provider_id": "made-up-pictures",
    "original_language": "ko",
    "external_id": None,
    "publish_at": None,
}


class WindowModel(BaseModel):
    """When a title may be played in some territories (ISO 3166-1 alpha-2) under a licence; null is an open end. Of a
    holdback: when it may not, whatever the windows say.
    """

    territories: list[str]
    licence: Licence = "svod"
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class SpanModel(BaseModel):
    """A part of a title that a player offers to skip."""

    start_ms: int
    end_ms: int


class MarkersModel(BaseModel):
    """Places in a title."""

    intro: SpanModel | None = None
    recap: SpanModel | None = None
    credits_start_ms: int | None = None


class CreditModel(BaseModel):
    """A person and what they did; the first is `order` 0."""

    person_id: str
    name: str
    role: str
    character: str = ""
    order: int = 0


class SeasonModel(BaseModel):
    """A season of a series; 0 holds specials."""

    number: int
    name: str


class Title(TitleCard):
    """All that a title's page shows. Only a series has seasons; its title_id is its series_id. `locales`: the
    languages that it has a name in. Viewers find published titles; editors and operators those in any `status`.
    """

    tagline: str
    status: Literal["draft", "scheduled", "published", "withdrawn"]
    revision: int = Field(description="What expected versions of an editor's changes count")
    markers: MarkersModel
    ratings: list[MaturityModel]
    availability: list[WindowModel]
    holdbacks: list[WindowModel]
    people: list[CreditModel]
    locales: list[str]
    seasons: list[SeasonModel]
    next_title_id: str | None
    provider_id: str | None
    original_language: str | None
    external_id: str | None
    publish_at: datetime | None = Field(description="Of a scheduled title: when it will be published")


class SeasonName(msgspec.Struct):
    """A season as the projection keeps it, its texts left where they are needed."""

    number: int
    name: str
    texts: tuple[Text, ...] = ()


class Season(msgspec.Struct):
    """See SeasonModel."""

    number: int
    name: str


class Whole(Card, kw_only=True):
    """See Title."""

    tagline: str
    status: str
    revision: int
    markers: msgspec.Raw
    ratings: msgspec.Raw
    availability: msgspec.Raw
    holdbacks: msgspec.Raw
    people: msgspec.Raw
    locales: list[str]
    seasons: list[Season]
    next_title_id: str | None
    provider_id: str | None
    original_language: str | None
    external_id: str | None
    publish_at: datetime | None


_seasons = msgspec.json.Decoder(tuple[SeasonName, ...])


def title_page(row: asyncpg.Record, locales: Locales) -> Whole:
    """A row of TITLE as it is shown."""
    texts = texts_of(row)
    chosen = locales.choose(texts, row["default_locale"])
    return Whole(
        **card_values(row, locales, chosen),
        tagline=chosen.tagline if chosen else "",
        status=row["status"],
        revision=row["revision"],
        markers=raw(row["markers"]),
        ratings=raw(row["ratings"]),
        availability=raw(row["availability"]),
        holdbacks=raw(row["holdbacks"]),
        people=raw(row["people"]),
        locales=[text.locale for text in texts],
        seasons=seasons_of(row, locales),
        next_title_id=row["next_title_id"],
        provider_id=row["provider_id"],
        original_language=row["original_language"],
        external_id=row["external_id"],
        publish_at=row["publish_at"],
    )


def seasons_of(row: asyncpg.Record, locales: Locales) -> list[Season]:
    """A series' seasons, named in the reader's language where they are."""
    return [Season(season.number, _season_name(season, locales)) for season in _seasons.decode(row["seasons"])]


def _season_name(season: SeasonName, locales: Locales) -> str:
    chosen = locales.choose(season.texts, "")
    return chosen.name if chosen and locales.reads(chosen.locale) else season.name
