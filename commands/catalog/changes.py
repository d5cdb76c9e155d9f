"""A change of a title's details: the fields that are given replace those that are there."""

from msgspec import UNSET, Struct, UnsetType, structs

from events.titles import Credit, Holdback, Image, LocalizedText, Markers, TitleDetails
from events.types import Availability, Maturity, TitleId


class DetailChanges(Struct, frozen=True, kw_only=True):
    """The fields of TitleDetails that are to be others. None is a value: it takes away what was there."""

    default_locale: str | UnsetType = UNSET
    texts: tuple[LocalizedText, ...] | UnsetType = UNSET
    maturity: tuple[Maturity, ...] | UnsetType = UNSET
    genres: tuple[str, ...] | UnsetType = UNSET
    people: tuple[Credit, ...] | UnsetType = UNSET
    images: tuple[Image, ...] | UnsetType = UNSET
    duration_ms: int | UnsetType | None = UNSET
    markers: Markers | UnsetType = UNSET
    availability: tuple[Availability, ...] | UnsetType = UNSET
    holdbacks: tuple[Holdback, ...] | UnsetType = UNSET
    next_title_id: TitleId | UnsetType | None = UNSET
    provider_id: str | UnsetType | None = UNSET
    original_language: str | UnsetType | None = UNSET
    release_year: int | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET


def changed(details: TitleDetails, changes: DetailChanges) -> TitleDetails:
    """The details with the changes."""
    given = {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}
    return structs.replace(details, **given)


def differing(before: TitleDetails, after: TitleDetails) -> tuple[str, ...]:
    """The names of the fields that are not the same."""
    return tuple(name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name))
