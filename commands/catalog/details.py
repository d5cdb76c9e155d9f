"""What must hold of a title's details whatever its state, and what it needs before viewers may see it. Pure."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from commands.catalog.refusals import (
    CreditsOutsideTitle,
    DurationNotAllowed,
    MarkerOutsideTitle,
    MaturityInvalid,
    NextTitleCycle,
    NextTitleNotAllowed,
    TerritoryUnknown,
    TextsInvalid,
    TitleIncomplete,
    TitleTooLarge,
    WindowEndsBeforeItStarts,
    WindowsOverlap,
)
from events.territories import TERRITORIES
from events.titles import CHANNELS, Holdback, Kind, LocalizedText, Markers, Season, TitleDetails, overlap
from events.types import Availability, Maturity, TitleId

KOREAN_AGES: Final = {"ALL": 0, "7": 7, "12": 12, "15": 15, "19": 19}
"""The ratings of system KR and the ages that they stand for (source: domain rules, "Catalog")."""
MAX_BYTES: Final = 256 * 1024
"""Of a title's details as JSON, and of a series' seasons: an event holds both and Kafka takes records of 1 MB."""
ENDLESS: Final = CHANNELS | {Kind.SERIES}


def check_details(title_id: TitleId, kind: Kind, details: TitleDetails) -> None:
    """Raise the refusal of the first rule that the details break."""
    check_size(details)
    check_texts(details.texts, details.default_locale)
    _check_maturity(details.maturity)
    _check_length(kind, details)
    for name, spans in (("availability", details.availability), ("holdbacks", details.holdbacks)):
        _check_spans(name, spans)
    _check_overlaps(details.availability)
    _check_next(title_id, kind, details.next_title_id)


def check_complete(kind: Kind, details: TitleDetails) -> None:
    """Raise TitleIncomplete unless the details have what a title of this kind is published with."""
    if missing := list(_missing(kind, details)):
        raise TitleIncomplete(
            f"a {kind.value} is published with {', '.join(missing)}; revise the title first",
            members={"missing": missing},
        )


def _missing(kind: Kind, details: TitleDetails) -> Iterator[str]:
    if not details.maturity:
        yield "maturity"
    if kind not in ENDLESS and details.duration_ms is None:
        yield "duration_ms"
    if kind is not Kind.SERIES and not details.availability:
        yield "availability"


def check_size(told: TitleDetails | Sequence[Season]) -> None:
    """Raise TitleTooLarge when what is told would not go into an event, and no event into a record on Kafka."""
    size = len(msgspec.json.encode(told))
    if size > MAX_BYTES:
        raise TitleTooLarge(f"it is {size} bytes long and {MAX_BYTES} may be; shorten texts, or name fewer people")


def check_texts(texts: Sequence[LocalizedText], default_locale: str | None) -> None:
    """Raise TextsInvalid when a locale has two texts, or the default locale none (None: there is no default)."""
    locales = [text.locale for text in texts]
    if repeated := sorted({locale for locale in locales if locales.count(locale) > 1}):
        raise TextsInvalid(f"there are several texts in {', '.join(repeated)}", members={"pointer": "/texts"})
    if default_locale is not None and default_locale not in locales:
        raise TextsInvalid(
            f"there is no text in the default locale {default_locale}; there is one in {', '.join(locales)}",
            members={"pointer": "/default_locale"},
        )


def _check_maturity(ratings: Sequence[Maturity]) -> None:
    seen: set[str] = set()
    for number, rating in enumerate(ratings):
        if problem := _wrong_with(rating, seen):
            raise MaturityInvalid(problem, members={"pointer": f"/maturity/{number}"})
        seen.add(rating.system)


def _wrong_with(rating: Maturity, seen: set[str]) -> str | None:
    if rating.system in seen:
        return f"{rating.system} rates the title twice"
    if rating.system != "KR":
        return None
    if rating.value not in KOREAN_AGES:
        return f"KR has no rating {rating.value!r}; it has {', '.join(KOREAN_AGES)}"
    if rating.minimum_age != KOREAN_AGES[rating.value]:
        return f"KR {rating.value} stands for the age {KOREAN_AGES[rating.value]}, not {rating.minimum_age}"
    return None


def _check_length(kind: Kind, details: TitleDetails) -> None:
    if kind in ENDLESS:
        if details.duration_ms is not None or details.markers != Markers():
            raise DurationNotAllowed(f"a {kind.value} has no duration and no markers; leave them out")
        return
    _check_markers(details.markers, details.duration_ms)


def _check_markers(markers: Markers, duration_ms: int | None) -> None:
    credits_start_ms = markers.credits_start_ms
    if credits_start_ms is not None and duration_ms is not None and credits_start_ms >= duration_ms:
        raise CreditsOutsideTitle(
            f"credits_start_ms is {credits_start_ms} and the title lasts {duration_ms} ms; leave it out if unknown"
        )
    for name, span in (("intro", markers.intro), ("recap", markers.recap)):
        if span and (span.end_ms <= span.start_ms or (duration_ms is not None and span.end_ms > duration_ms)):
            raise MarkerOutsideTitle(
                f"the {name} is from {span.start_ms} to {span.end_ms} ms; let it end after it starts and in the title",
                members={"pointer": f"/markers/{name}"},
            )


def _check_spans(name: str, spans: Sequence[Availability | Holdback]) -> None:
    for number, span in enumerate(spans):
        pointer = f"/{name}/{number}"
        if span.starts_at and span.ends_at and span.ends_at <= span.starts_at:
            raise WindowEndsBeforeItStarts(
                f"{name}[{number}] ends at {span.ends_at} and starts at {span.starts_at}", members={"pointer": pointer}
            )
        if unknown := sorted(set(span.territories) - TERRITORIES):
            raise TerritoryUnknown(
                f"{name}[{number}] names {', '.join(unknown)}; ISO 3166-1 alpha-2 has no such territory",
                members={"pointer": f"{pointer}/territories", "territories": unknown},
            )


def _check_overlaps(windows: Sequence[Availability]) -> None:
    for (one_at, one), (other_at, other) in combinations(enumerate(windows), 2):
        if one.licence != other.licence or not overlap((one.starts_at, one.ends_at), (other.starts_at, other.ends_at)):
            continue
        if shared := sorted(set(one.territories) & set(other.territories)):
            raise WindowsOverlap(
                f"availability[{one_at}] and [{other_at}] share a moment in {', '.join(shared)} as {one.licence.value}",
                members={"pointer": f"/availability/{other_at}", "territories": shared},
            )


def _check_next(title_id: TitleId, kind: Kind, next_title_id: TitleId | None) -> None:
    if next_title_id is None:
        return
    if kind is Kind.EPISODE or kind in CHANNELS:
        raise NextTitleNotAllowed(
            f"a {kind.value} has no next title: episodes follow each other by number, and a channel does not end",
            members={"pointer": "/next_title_id"},
        )
    if next_title_id == title_id:
        raise NextTitleCycle("a title cannot follow itself", members={"cycle": [title_id, title_id]})
