"""The ids and small values that events share."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

AccountId = NewType("AccountId", str)
ProfileId = NewType("ProfileId", str)
DeviceId = NewType("DeviceId", str)
SessionId = NewType("SessionId", str)
TitleId = NewType("TitleId", str)
SeriesId = NewType("SeriesId", str)

Instant = Annotated[datetime, Meta(tz=True)]
"""A moment with its offset from UTC; a naive one is refused."""
PositionMs = Annotated[int, Meta(ge=0, le=2**42)]
"""Milliseconds from the start of a title."""
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class TitleKind(StrEnum):
    """What a playable title is. Seasons and series group titles and are not played themselves."""

    MOVIE = "movie"
    EPISODE = "episode"


class Maturity(Struct, frozen=True):
    """A rating as its board gave it, and the age it stands for (source: domain rules, "Catalog"; KR: ALL, 7, 12, 15,
    19).
    """

    system: str
    value: str
    minimum_age: int


class Availability(Struct, frozen=True):
    """When a title may be played in some territories (ISO 3166-1 alpha-2); None is an open end."""

    territories: tuple[str, ...]
    starts_at: datetime | None = None
    ends_at: datetime | None = None
