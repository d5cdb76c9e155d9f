"""One line of an import file: the body of a title, and the commands that make the catalog say the same.

A title's id is made of its external id, so that a line finds its title again, and may name one that comes later.
"""

import hashlib
from typing import Annotated, Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from commands import errors
from commands.catalog.bodies import SeasonBody
from commands.catalog.commands import CatalogCommand, EpisodeNumber, ImportSeason, ImportTitle
from commands.catalog.detail_bodies import DetailsBody
from commands.catalog.value_bodies import Number
from commands.fields import Code
from events.refusals import Refusal
from events.titles import Kind
from events.types import SeriesId, TitleId
from infra.http.problems import BODY_TOO_LARGE, INVALID_REQUEST, MALFORMED_JSON
from infra.moments import Moment

NAMESPACE: Final = uuid5(NAMESPACE_URL, "https://playhead.dev/catalog/import")


class LineProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a line was not taken: a name of docs/problems.md, and where in the line."""

    problem: str
    detail: str
    pointer: str | None = None


class LineRefused(Exception):
    """A line that cannot be taken as it is."""

    def __init__(self, problem: LineProblem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Identity(msgspec.Struct, frozen=True):
    """What a line is about: all that is read of one that was taken before."""

    external_id: str
    series: str | None = None

    @property
    def key(self) -> bytes:
        """The identity, short."""
        return hashlib.blake2b(msgspec.json.encode(self), digest_size=12).digest()


class ImportBody(DetailsBody):
    """A line. `series`: the external id of an episode's series; `next_title`: of the title that follows. `publish_at`
    schedules it; without, it is published, unless `publish` is false.
    """

    kind: Kind
    external_id: Code
    series: Code | None = None
    season_number: Number | None = None
    episode_number: Number | None = None
    next_title: Code | None = None
    publish: bool = True
    publish_at: Moment | None = None
    seasons: Annotated[tuple[SeasonBody, ...], Field(max_length=500, description="of a series")] = ()

    def commands(self) -> tuple[CatalogCommand, ...]:
        """What is asked of the stream of the line's title, in turn."""
        details = self.details()
        if self.next_title is not None:
            details = msgspec.structs.replace(details, next_title_id=title_id_of(self.next_title))
        series_id = None if self.series is None else SeriesId(title_id_of(self.series))
        own = ImportTitle(
            title_id=title_id_of(self.external_id, self.series),
            series_id=series_id,
            kind=self.kind,
            details=details,
            number=self._number(),
            publish=self.publish and self.publish_at is None,
            publish_at=self.publish_at,
        )
        return (own, *(_season(SeriesId(own.title_id), season) for season in self.seasons))

    def _number(self) -> EpisodeNumber | None:
        if self.season_number is None or self.episode_number is None:
            return None
        return EpisodeNumber(self.season_number, self.episode_number)


def _season(series_id: SeriesId, season: SeasonBody) -> ImportSeason:
    return ImportSeason(
        series_id=series_id, season_number=season.season_number, name=season.name, texts=season.localized()
    )


def title_id_of(external_id: str, series: str | None = None) -> TitleId:
    """The id of what a file calls `external_id`; an episode's is one among those of its series."""
    named = msgspec.json.encode([external_id] if series is None else [series, external_id])
    return TitleId(str(uuid5(NAMESPACE, named.decode())))


_identity = msgspec.json.Decoder(Identity)


def identity_of(line: bytes) -> Identity:
    """What a line is about. Raises LineRefused."""
    try:
        return _identity.decode(line)
    except msgspec.ValidationError as error:
        raise LineRefused(LineProblem(INVALID_REQUEST.slug, str(error), "/external_id")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineRefused(LineProblem(MALFORMED_JSON.slug, str(error))) from error


def body_of(line: bytes) -> ImportBody:
    """A line, validated as the body of a request would be. Raises LineRefused."""
    try:
        return ImportBody.model_validate_json(line)
    except ValidationError as error:
        raise LineRefused(_invalid(error.errors(include_url=False))) from error


def _invalid(found: list[ErrorDetails]) -> LineProblem:
    reasons = [("/" + "/".join(str(part) for part in one["loc"]), one["msg"]) for one in found[:5]]
    detail = "; ".join(f"{pointer}: {reason}" for pointer, reason in reasons)
    return LineProblem(INVALID_REQUEST.slug, detail, reasons[0][0])


def problem_of(refusal: Refusal) -> LineProblem:
    """A refusal of the catalog, by the name that the HTTP API gives it."""
    pointer: Any = refusal.members.get("pointer")
    return LineProblem(errors.PROBLEMS[type(refusal)].slug, refusal.detail, pointer)


def too_long(most_bytes: int) -> LineProblem:
    """A line that is longer than a request may be."""
    return LineProblem(BODY_TOO_LARGE.slug, f"a line may hold {most_bytes} bytes; split or shorten it")
