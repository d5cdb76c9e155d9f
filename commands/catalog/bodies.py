"""The request bodies of the catalog's commands, as editors send them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field

from commands.fields import Body, Code, Name, NulFree
from events.types import Availability, Maturity

MAX_WINDOWS = 100
MAX_DURATION_MS = 7 * 24 * 3600 * 1000


Synopsis = Annotated[str, Field(max_length=10_000), NulFree]
Territory = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")]
DurationMs = Annotated[int, Field(gt=0, le=MAX_DURATION_MS)]
Number = Annotated[int, Field(ge=0, le=10_000)]


class MaturityBody(Body):
    """A rating as its board gave it."""

    system: Code
    value: Code
    minimum_age: Annotated[int, Field(ge=0, le=21)]

    def value_object(self) -> Maturity:
        """As events hold it."""
        return Maturity(self.system, self.value, self.minimum_age)


class WindowBody(Body):
    """When the title may be played where. A missing end is open."""

    territories: Annotated[list[Territory], Field(min_length=1, max_length=250)]
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    def value_object(self) -> Availability:
        """As events hold it."""
        return Availability(tuple(self.territories), _utc(self.starts_at), _utc(self.ends_at))


def _utc(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC)


Windows = Annotated[list[WindowBody], Field(min_length=1, max_length=MAX_WINDOWS)]

MATURITY_EXAMPLE: dict[str, Any] = {"system": "KR", "value": "12", "minimum_age": 12}
WINDOW_EXAMPLE: dict[str, Any] = {"territories": ["KR", "NL"], "starts_at": "2026-01-01T00:00:00Z"}
PLAYABLE_EXAMPLE: dict[str, Any] = {
    "name": "Big Buck Bunny",
    "synopsis": "A giant rabbit meets three bullying rodents.",
    "duration_ms": 596_000,
    "credits_start_ms": 500_000,
    "maturity": MATURITY_EXAMPLE,
    "availability": [WINDOW_EXAMPLE],
}


class MovieBody(Body):
    """A film."""

    model_config = ConfigDict(json_schema_extra={"examples": [PLAYABLE_EXAMPLE]})

    name: Name
    synopsis: Synopsis
    duration_ms: DurationMs
    credits_start_ms: Annotated[int, Field(gt=0)] | None = None
    maturity: MaturityBody
    availability: Windows


class SeriesBody(Body):
    """A series."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Night Ferry", "synopsis": "Nine hours at sea.", "maturity": MATURITY_EXAMPLE}]
        }
    )

    name: Name
    synopsis: Synopsis
    maturity: MaturityBody


class SeasonBody(Body):
    """A season; number 0 holds specials."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"season_number": 1, "name": "Season 1"}]})

    season_number: Number
    name: Name


class EpisodeBody(MovieBody):
    """An episode of a season that was added before."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**PLAYABLE_EXAMPLE, "season_number": 1, "episode_number": 1}]}
    )

    season_number: Number
    episode_number: Number
