"""The request bodies of the catalog's commands, as editors send them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from commands.catalog.commands import EpisodeNumber
from commands.catalog.detail_bodies import DEFAULT_LOCALE, DETAILS_EXAMPLE, DetailsBody, MoreBody, Windows
from commands.catalog.value_bodies import (
    MATURITY_EXAMPLE,
    WINDOW_EXAMPLE,
    DurationMs,
    MaturityBody,
    Number,
    SpanBody,
    Synopsis,
    Tagline,
    TextBody,
    Texts,
    texts_of,
)
from commands.fields import Body, Id, Locale, Name, NulFree
from events.titles import Kind, LocalizedText, Markers, TitleDetails
from infra.moments import Moment

PLAYABLE_EXAMPLE: dict[str, Any] = {
    "name": "Big Buck Bunny",
    "synopsis": "A giant rabbit meets three bullying rodents.",
    "duration_ms": 596_000,
    "credits_start_ms": 500_000,
    "maturity": MATURITY_EXAMPLE,
    "availability": [WINDOW_EXAMPLE],
}


class NamedBody(MoreBody):
    """What the short way to publish says: a name in one locale, and a rating; others may follow."""

    name: Name
    synopsis: Synopsis
    tagline: Tagline = ""
    locale: Annotated[Locale, Field(description="of name and synopsis; the title's default locale")] = DEFAULT_LOCALE
    texts: Texts = Field(default_factory=dict)
    maturity: MaturityBody | Annotated[list[MaturityBody], Field(min_length=1, max_length=50)]

    def named(self) -> dict[str, Any]:
        """These fields as events hold them."""
        first = TextBody(name=self.name, synopsis=self.synopsis, tagline=self.tagline)
        ratings = self.maturity if isinstance(self.maturity, list) else [self.maturity]
        return {
            **self.more(),
            "default_locale": self.locale,
            "texts": texts_of({**self.texts, self.locale: first}),
            "maturity": tuple(rating.value_object() for rating in ratings),
        }


class MovieBody(NamedBody):
    """A film."""

    model_config = ConfigDict(json_schema_extra={"examples": [PLAYABLE_EXAMPLE]})

    duration_ms: DurationMs
    credits_start_ms: Annotated[int, Field(gt=0)] | None = None
    intro: SpanBody | None = None
    recap: SpanBody | None = None
    availability: Annotated[Windows, Field(min_length=1)]

    def details(self) -> TitleDetails:
        """As events hold them."""
        markers = Markers(
            self.intro.value_object() if self.intro else None,
            self.recap.value_object() if self.recap else None,
            self.credits_start_ms,
        )
        windows = tuple(window.value_object() for window in self.availability)
        return TitleDetails(**self.named(), duration_ms=self.duration_ms, markers=markers, availability=windows)


class SeriesBody(NamedBody):
    """A series."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Night Ferry", "synopsis": "Nine hours at sea.", "maturity": MATURITY_EXAMPLE}]
        }
    )

    def details(self) -> TitleDetails:
        """As events hold them."""
        return TitleDetails(**self.named())


class SeasonNameBody(Body):
    """What a season is called."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Season 1", "texts": {"ko": {"name": "시즌 1"}}}]}
    )

    name: Name
    texts: Texts = Field(default_factory=dict)

    def localized(self) -> tuple[LocalizedText, ...]:
        """The texts as events hold them."""
        return texts_of(self.texts)


class SeasonBody(SeasonNameBody):
    """A season; number 0 holds specials."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"season_number": 1, "name": "Season 1"}]})

    season_number: Number


class EpisodeBody(MovieBody):
    """An episode of a season that was added before."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**PLAYABLE_EXAMPLE, "season_number": 1, "episode_number": 1}]}
    )

    season_number: Number
    episode_number: Number

    def number(self) -> EpisodeNumber:
        """Where it goes."""
        return EpisodeNumber(self.season_number, self.episode_number)


class NewTitleBody(DetailsBody):
    """A draft of any kind. An episode names its series, season and number, and nothing else does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "movie", **DETAILS_EXAMPLE}]})

    kind: Kind
    series_id: Id | None = None
    season_number: Number | None = None
    episode_number: Number | None = None

    def number(self) -> EpisodeNumber | None:
        """Where an episode goes."""
        if self.season_number is None or self.episode_number is None:
            return None
        return EpisodeNumber(self.season_number, self.episode_number)


class ScheduleBody(Body):
    """When to publish."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"publish_at": "2027-01-01T00:00:00+09:00"}]})

    publish_at: Moment


class WithdrawBody(Body):
    """Why a title is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The licence ended."}]})

    reason: Annotated[str, Field(min_length=1, max_length=1_000), NulFree]


class SeasonOrderBody(Body):
    """All seasons but specials, by the numbers that they have, in their new order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"season_numbers": [2, 1, 3]}]})

    season_numbers: Annotated[list[Number], Field(min_length=1, max_length=500)]


class EpisodeOrderBody(Body):
    """All episodes of the season, in their new order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title_ids": ["ferry-s1e2", "ferry-s1e1"]}]})

    title_ids: Annotated[list[Id], Field(min_length=1, max_length=10_000)]


class EpisodeNumberBody(Body):
    """Where an episode goes."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"season_number": 1, "episode_number": 4}]})

    season_number: Number
    episode_number: Number
