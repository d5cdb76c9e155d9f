"""Lines of an import file."""

from typing import Any


def _line(kind: str, external_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "external_id": external_id,
        "texts": {"en": {"name": external_id.title(), "synopsis": "Something happens."}},
        "maturity": [{"system": "KR", "value": "12", "minimum_age": 12}],
        **changes,
    }


def film(external_id: str, **changes: Any) -> dict[str, Any]:
    playable = {"duration_ms": 888_000, "availability": [{"territories": ["KR"]}]}
    return _line("movie", external_id, **{**playable, **changes})


def series(external_id: str, **changes: Any) -> dict[str, Any]:
    return _line("series", external_id, **changes)


def episode(external_id: str, *, series: str, number: int, season: int = 1, **changes: Any) -> dict[str, Any]:
    place = {"series": series, "season_number": season, "episode_number": number}
    return {**film(external_id), "kind": "episode", **place, **changes}
