"""What a command of staff changed in its stream's state: the fields that differ, before and after, as JSON."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

MISSING: Final = object()
_encoder: Final = msgspec.json.Encoder(order="deterministic")


class Difference(NamedTuple):
    """Two values, each without what it has in common with the other, as JSON has them."""

    before: Any
    after: Any


def change_between(before: object, after: object, *, max_bytes: int) -> str | None:
    """{"before": ..., "after": ...} of two states; None when they are equal. A field that is not there in one of them
    is left out of it. Longer than `max_bytes`, each value is replaced by its size and its digest.
    """
    difference = _difference(before, after)
    if difference is None:
        return None
    for told in (difference, Difference(*map(_fields_digested, difference)), Difference(*map(_digested, difference))):
        change = _encoder.encode(told._asdict())
        if len(change) <= max_bytes:
            break
    return change.decode()


def _difference(before: object, after: object) -> Difference | None:
    """By fields and keys, as deep as they go: only what differs is ever turned to JSON, of a state however large."""
    if before is after or before == after:
        return None
    left, right = _fields_of(before), _fields_of(after)
    if left is None or right is None:
        return Difference(_builtins(before), _builtins(after))
    told = Difference({}, {})
    for name, each in _differences(left, right):
        for side, value in zip(told, each, strict=True):
            if value is not MISSING:
                side[name] = value
    return told


def _differences(left: Mapping[Any, object], right: Mapping[Any, object]) -> Iterator[tuple[str, Difference]]:
    for key in {**left, **right}:
        one, other = left.get(key, MISSING), right.get(key, MISSING)
        if one is other:
            continue
        if one is MISSING or other is MISSING:
            yield str(key), Difference(_builtins(one), _builtins(other))
        elif difference := _difference(one, other):
            yield str(key), difference


def _fields_of(value: object) -> Mapping[Any, object] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _builtins(value: object) -> Any:
    return value if value is MISSING else msgspec.to_builtins(value, str_keys=True, order="deterministic")


def _fields_digested(side: Any) -> Any:
    return {name: _digested(value) for name, value in side.items()} if isinstance(side, dict) else _digested(side)


def _digested(value: Any) -> dict[str, int | str]:
    body = _encoder.encode(value)
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
