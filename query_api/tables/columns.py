"""The fields of a table: a closed list, taken from the model that documents its rows, and what is left of a row when
some of them are asked for. The fields of what is nested in a row have dotted names: `plan.price.currency`.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Final, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue

Path: TypeAlias = tuple[str, ...]
"""Where a value is in a row."""
Row: TypeAlias = Mapping[str, JsonValue]
"""A row as JSON has it."""

ABSENT: Final = object()


def columns_of(model: type[BaseModel]) -> tuple[Path, ...]:
    """Where all values of a row are, in the model's order. A list is one value, and so is what has no fixed names."""
    return tuple(
        (name, *path)
        for key, field in model.model_fields.items()
        for name in (field.serialization_alias or key,)
        for path in _below(field.annotation)
    )


def names_of(columns: Iterable[Path]) -> tuple[str, ...]:
    """What may be asked for: every value, and whatever holds some."""
    return tuple(dict.fromkeys(".".join(path[:length]) for path in columns for length in range(1, len(path) + 1)))


def chosen(columns: Sequence[Path], names: Iterable[str]) -> tuple[Path, ...]:
    """The columns that some names ask for, as they are asked for, each once."""
    wanted = [tuple(name.split(".")) for name in names]
    return tuple(dict.fromkeys(path for want in wanted for path in columns if path[: len(want)] == want))


def projected(row: Row, columns: Iterable[Path]) -> dict[str, JsonValue]:
    """What a row has in some columns, nested as it was; what holds them is null where it is null in the row."""
    kept: dict[str, JsonValue] = {}
    for path in columns:
        _keep(row, kept, path)
    return kept


def value_at(row: Row, path: Path) -> JsonValue:
    """What a row has in a column: null where it, or what holds it, is null or is not there."""
    found: JsonValue = dict(row)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _keep(row: Row, kept: dict[str, JsonValue], path: Path) -> None:
    name, *rest = path
    if name not in row:
        return
    value = row[name]
    if not rest or not isinstance(value, dict):
        kept[name] = value
        return
    within = kept.setdefault(name, {})
    if isinstance(within, dict):
        _keep(value, within, tuple(rest))


def _below(annotation: object) -> Iterable[Path]:
    """The paths from a field of this type on."""
    kinds = [each for each in _alternatives(annotation) if each is not type(None)]
    if len(kinds) == 1:
        [kind] = kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return columns_of(kind)
        if get_origin(kind) is dict and _is_enum(key := get_args(kind)[0]):
            return [(str(member.value),) for member in key]
    return [()]


def _alternatives(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
