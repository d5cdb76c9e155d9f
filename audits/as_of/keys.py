"""Which rows of a view are asked for: `profile=p-1`, of a key with several parts one or more of them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from projections.views import AggregateView, HashView, KeyedView, SeriesView, View

Wanted: TypeAlias = Callable[[Any], bool]
"""Whether a key is one that is asked for."""
HASH_OF: Final = {"account_holdings": "account_id", "catalog_withdrawn": "hash", "identity_revoked": "hash"}
"""What a hash of Redis is of, where it is not a profile."""


class KeyRefused(ValueError):
    """What is asked for names no rows."""


def parts_of(view: View[Any]) -> tuple[str, ...]:
    """The names of what a view's key is made of."""
    if isinstance(view, HashView):
        return HASH_OF.get(view.name, "profile_id"), "field"
    if isinstance(view, SeriesView):
        return (*view.bucket, *view.key)
    assert isinstance(view, KeyedView | AggregateView)
    return (view.row.__struct_fields__[0],)


def parsed(view: View[Any], given: Sequence[str]) -> dict[str, str]:
    """The parts of a key from `name=value`; `profile` says profile_id too. Raises KeyRefused."""
    names = parts_of(view)
    said = " and ".join(f"{name}=..." for name in names)
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        name = name if name in names else f"{name}_id"
        if not equals or not value or name not in names:
            raise KeyRefused(f"{each!r} is no part of a key of {view.name}: say {said}; one of them is enough")
        found[name] = value
    if not found:
        raise KeyRefused(f"say which rows of {view.name}: --key {said}; one of them is enough")
    return found


def wanted(view: View[Any], key: Mapping[str, str]) -> Wanted:
    """Whether a key of a view has these parts. Raises KeyRefused."""
    names = parts_of(view)
    places = [(names.index(name), _text(value)) for name, value in key.items()]

    def is_wanted(found: Any) -> bool:
        parts = found if isinstance(found, tuple) else (found,)
        return all(_text(parts[place]) == value for place, value in places)

    return is_wanted


def _text(value: object) -> str:
    """A part of a key in one spelling, times too."""
    if isinstance(value, datetime):
        return value.isoformat()
    try:
        return datetime.fromisoformat(str(value)).isoformat() if _may_be_time(str(value)) else str(value)
    except ValueError:
        return str(value)


def _may_be_time(text: str) -> bool:
    return len(text) >= len("2026-11-21T21") and text[4:5] == "-" and text[10:11] in "T "
