"""What may change in a published schema: additions only. Anything else needs a new version of the event."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]  # a JSON Schema document: JSON, of any shape

LOOSER_IF_SMALLER = ("minimum", "minLength", "minItems")
LOOSER_IF_LARGER = ("maximum", "maxLength", "maxItems")
DESCRIPTIVE = {"title", "description", "examples"}
COMPARED_APART = {"properties", "required", "enum", "$defs", *LOOSER_IF_SMALLER, *LOOSER_IF_LARGER, *DESCRIPTIVE}


def breaks(old: Schema, new: Schema, where: str = "$") -> Iterator[str]:
    """Each way in which `new` could not stand for `old`: what a reader or a stored event of today would trip over."""
    yield from _properties(old, new, where)
    yield from _bounds(old, new, where)
    for value in old.get("enum", ()):
        if value not in new.get("enum", ()):
            yield f"{where}: {value!r} is no longer allowed"
    for name, definition in old.get("$defs", {}).items():
        if name in new.get("$defs", {}):
            yield from breaks(definition, new["$defs"][name], f"{where}.$defs.{name}")
        else:
            yield f"{where}.$defs.{name}: removed"
    for keyword in (old.keys() | new.keys()) - COMPARED_APART:
        yield from _keyword(old.get(keyword), new.get(keyword), f"{where}.{keyword}")


def _properties(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from breaks(schema, new["properties"][name], f"{where}.{name}")
        else:
            yield f"{where}.{name}: removed"
    required, required_now = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(required_now - required):
        yield f"{where}.{name}: required now, and events recorded before may not have it"
    for name in sorted(required - required_now):
        yield f"{where}.{name}: optional now, and readers of today need it"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for keyword in LOOSER_IF_SMALLER:
        if keyword in new and (keyword not in old or new[keyword] > old[keyword]):
            yield f"{where}: {keyword} {new[keyword]} is tighter than before"
    for keyword in LOOSER_IF_LARGER:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield f"{where}: {keyword} {new[keyword]} is tighter than before"


def _keyword(old: object, new: object, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from breaks(old, new, where)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, now) in enumerate(zip(old, new, strict=True)):
            yield from _keyword(before, now, f"{where}[{number}]")
    elif old != new:
        yield f"{where}: was {old!r}, is {new!r}"
