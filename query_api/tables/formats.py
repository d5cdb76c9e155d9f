"""In which format a table is answered: what `format` says, or else what Accept prefers (RFC 9110, 12.5.1)."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from infra.http.problems import ProblemKind, Problems, Refusal


class Format(StrEnum):
    """JSON: a page; the others: rows alone, a line each."""

    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"


MEDIA_TYPES: Final = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.JSONL: "application/x-ndjson",
}


class NotAcceptable(Refusal):
    """Accept names nothing that a table is answered in."""


NOT_ACCEPTABLE = ProblemKind(406, "not-acceptable", "The reply cannot be had in any of the accepted formats")
PROBLEMS: Final[Problems] = {NotAcceptable: NOT_ACCEPTABLE}

_QUALITY: Final = re.compile(r"q\s*=\s*([01](?:\.\d{0,3})?)")


class _Range(NamedTuple):
    """A media range. `specific`: 2 for one media type, 1 for all of a type, 0 for everything."""

    name: str
    specific: int
    quality: float

    @classmethod
    def of(cls, text: str) -> "_Range":
        name, *parameters = (part.strip().lower() for part in text.split(";"))
        qualities = [match[1] for parameter in parameters if (match := _QUALITY.fullmatch(parameter))]
        specific = 0 if name == "*/*" else 1 if name.endswith("/*") else 2
        return cls(name, specific, float(qualities[0]) if qualities else 1.0)

    def holds(self, media_type: str) -> bool:
        return self.specific == 0 or self.name == media_type or self.name == f"{media_type.partition('/')[0]}/*"


def accepted(header: str) -> Format:
    """The format that an Accept header prefers; of equal ones what it names, then JSON. Raises NotAcceptable."""
    ranges = [_Range.of(part) for part in header.split(",") if part.strip()]
    if not ranges:
        return Format.JSON
    best, format_ = max(((_rank(media_type, ranges), each) for each, media_type in MEDIA_TYPES.items()), key=_by_rank)
    if best[0] == 0:
        raise NotAcceptable(f"Accept one of {', '.join(MEDIA_TYPES.values())}, or leave Accept out for JSON.")
    return format_


def _rank(media_type: str, ranges: list[_Range]) -> tuple[float, int]:
    """How much a media type is wanted, by the range that names it most exactly."""
    held = [each for each in ranges if each.holds(media_type)]
    if not held:
        return 0.0, 0
    named = max(held, key=lambda each: each.specific)
    return named.quality, named.specific


def _by_rank(ranked: tuple[tuple[float, int], Format]) -> tuple[float, int]:
    return ranked[0]
