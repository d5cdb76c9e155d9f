"""A title as lists show it: localised, small, and built by msgspec; what Postgres holds as JSON is passed on as it is.

The Pydantic models here and in the routes only document what is answered.
"""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import asyncpg
import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from query_api.catalog.locales import Locales, Text

Kind: TypeAlias = Literal["movie", "series", "episode", "short", "live_channel", "fast_channel"]
Licence: TypeAlias = Literal["svod", "avod", "tvod", "est", "fast"]

COLUMNS: Final = """
    t.title_id, t.kind, t.name, t.synopsis, t.default_locale, t.texts, t.duration_ms, t.credits_start_ms,
    t.maturity_system, t.maturity_value, t.minimum_age, t.genres, t.images, t.release_year, t.series_id, t.series_name,
    t.season_number, t.episode_number, t.published_at, s.texts as series_texts
"""
IN_LANGUAGES: Final = {"Vary": "Accept-Language"}
"""The headers of what is shown in the languages of its reader."""
FROM: Final = "catalog_titles as t left join catalog_titles as s on s.title_id = t.series_id"
"""An episode's series is read along, since it may have been renamed and has names in other languages."""

CARD_EXAMPLE: Final[dict[str, Any]] = {
    "title_id": "made-up-s1e1",
    "kind": "episode",
    "locale": "en",
    "name": "The First Evening",
    "synopsis": "Everyone arrives.",
    "duration_ms": 1_500_000,
    "credits_start_ms": 1_440_000,
    "maturity": {"system": "KMRB", "value": "12", "minimum_age": 12},
    "genres": ["drama"],
    "images": [{"kind": "still", "url": "made-up/s1e1.jpg", "width": 1280, "height": 720, "locale": None}],
    "release_year": 2026,
    "series_id": "made-up",
    "series_name": "Made Up",
    "season_number": 1,
    "episode_number": 1,
    "published_at": "2026-01-01T09:00:00Z",
}


class MaturityModel(BaseModel):
    """A rating as its board gave it, and the age it stands for."""

    system: str
    value: str
    minimum_age: int


class ImageModel(BaseModel):
    """A picture; `locale`: of the words in it."""

    kind: str
    url: str
    width: int
    height: int
    locale: str | None = None


class TitleCard(BaseModel):
    """A title in a list. `maturity`: of several ratings the strictest; null: unrated. Only what is played has a
    duration. `locale`: the language that name and synopsis are in.
    """

    title_id: str
    kind: Kind
    locale: str
    name: str
    synopsis: str
    duration_ms: int | None
    credits_start_ms: int | None
    maturity: MaturityModel | None
    genres: list[str]
    images: list[ImageModel]
    release_year: int | None
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    published_at: datetime | None = Field(description="When it was first published")


class Maturity(msgspec.Struct):
    """See MaturityModel."""

    system: str
    value: str
    minimum_age: int


class Card(msgspec.Struct, kw_only=True):
    """See TitleCard."""

    title_id: str
    kind: str
    locale: str
    name: str
    synopsis: str
    duration_ms: int | None
    credits_start_ms: int | None
    maturity: Maturity | None
    genres: msgspec.Raw
    images: msgspec.Raw
    release_year: int | None
    series_id: str | None
    series_name: str | None
    season_number: int | None
    episode_number: int | None
    published_at: datetime | None


_texts = msgspec.json.Decoder(tuple[Text, ...])
_replies = msgspec.json.Encoder()


def card_values(row: asyncpg.Record, locales: Locales, chosen: Text | None) -> dict[str, Any]:
    """The fields of a card, for whatever is a card and more; `chosen`: of its texts."""
    text = chosen or Text(row["default_locale"], row["name"], row["synopsis"])
    return {
        "title_id": row["title_id"],
        "kind": row["kind"],
        "locale": text.locale,
        "name": text.name,
        "synopsis": text.synopsis,
        "duration_ms": row["duration_ms"],
        "credits_start_ms": row["credits_start_ms"],
        "maturity": maturity_of(row),
        "genres": raw(row["genres"]),
        "images": raw(row["images"]),
        "release_year": row["release_year"],
        "series_id": row["series_id"],
        "series_name": series_name_of(row, locales),
        "season_number": row["season_number"],
        "episode_number": row["episode_number"],
        "published_at": row["published_at"],
    }


def card_of(row: asyncpg.Record, locales: Locales) -> Card:
    """A row of COLUMNS as it is shown."""
    return Card(**card_values(row, locales, locales.choose(texts_of(row), row["default_locale"])))


def texts_of(row: asyncpg.Record) -> tuple[Text, ...]:
    """What a title is called, in every language."""
    return _texts.decode(row["texts"])


def series_name_of(row: asyncpg.Record, locales: Locales) -> str | None:
    """What an episode's series is called now, in the reader's language; else what it was called."""
    told: str | None = row["series_name"]
    if row["series_texts"] is None:
        return told
    chosen = locales.choose(_texts.decode(row["series_texts"]), row["default_locale"])
    return chosen.name if chosen else told


def maturity_of(row: asyncpg.Record) -> Maturity | None:
    """The strictest rating."""
    if row["maturity_system"] is None or row["minimum_age"] is None:
        return None
    return Maturity(row["maturity_system"], row["maturity_value"], row["minimum_age"])


def raw(json_text: str) -> msgspec.Raw:
    """JSON as Postgres holds it, passed on unread."""
    return msgspec.Raw(json_text.encode())


def reply(body: msgspec.Struct, locale: str | None = None) -> Response:
    """A JSON reply in the language `locale`, or in several."""
    headers = {**IN_LANGUAGES, **({"Content-Language": locale} if locale else {})}
    return Response(_replies.encode(body), media_type="application/json", headers=headers)
