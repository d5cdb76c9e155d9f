"""A view's table in Postgres, derived from its row: the statements, and rows to and from what asyncpg passes."""

import types
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Union, get_args, get_origin

import asyncpg
import msgspec

from projections.views import AggregateView, KeyedView, ListView

# Exact types of columns; whatever else a field holds is kept as JSON.
_TYPES: Final[dict[type, str]] = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    float: "double precision",
    bytes: "bytea",
    datetime: "timestamptz",
}
JSON: Final = "jsonb"

_to_json = msgspec.json.Encoder()


def column_type(annotation: Any) -> str:
    """The Postgres type of a field."""
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (one for one in get_args(annotation) if one is not types.NoneType)
    if get_origin(annotation) is Literal:
        annotation = type(get_args(annotation)[0])
    return _TYPES.get(annotation, JSON) if isinstance(annotation, type) else JSON


class Table:
    """The table of a keyed view, or of an aggregate; its first column is the key."""

    def __init__(self, view: KeyedView[Any, str] | AggregateView[Any, Any], stored_as: str | None = None) -> None:
        """`stored_as`: where the rows are, when it is not in the table of the view's name."""
        self.name = view.name
        self.stored_as = stored_as or view.name
        self._view = view
        fields = msgspec.structs.fields(view.row)
        self.columns = {field.name: column_type(field.type) for field in fields}
        self._json = {
            place: msgspec.json.Decoder(field.type).decode
            for place, field in enumerate(fields)
            if self.columns[field.name] == JSON
        }
        self._make: Callable[..., msgspec.Struct] = _positional(view.row)
        name = self.stored_as
        statements = _list_statements(view, name) if isinstance(view, ListView) else _statements(name, self.columns)
        self.select, self.upsert, self.delete = statements
        key = next(iter(self.columns))
        before, _, of_keys = self.select.partition(" where ")
        self.scan = before + of_keys.partition("[])")[2]
        self.lock = f'{self.select} order by "{key}" for update'
        self.insert_missing = self.upsert.partition(" on conflict")[0] + " on conflict do nothing"
        self.add, self.delete_empty = _adding(view, name, self.upsert) if self._adds_in_place else ("", "")

    @property
    def _adds_in_place(self) -> bool:
        """Whether Postgres can add to the rows itself: all that is added up is plain numbers."""
        view = self._view
        if not isinstance(view, AggregateView) or view.maxima:
            return False
        return all(self.columns[name] == _TYPES[int] for name in view.sums)

    @property
    def stored(self) -> dict[str, str]:
        """The columns that the table must have, by type: those of its rows, or of a list's items beside their key."""
        if not isinstance(self._view, ListView):
            return self.columns
        key = self._view.row.__struct_fields__[0]
        return {key: self.columns[key], **_item_columns(self._view)}

    def row_of(self, record: asyncpg.Record) -> msgspec.Struct:
        """A row as its view knows it."""
        if not self._json:
            return self._make(*record)
        values = list(record)
        for place, decode in self._json.items():
            values[place] = decode(values[place])
        return self._make(*values)

    def columns_of(self, rows: Sequence[msgspec.Struct]) -> list[Sequence[object]]:
        """Rows as the upsert takes them: a list for each column."""
        columns: list[Sequence[object]] = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
        for place in self._json:
            columns[place] = [_to_json.encode(value).decode() for value in columns[place]]
        return columns


def _positional(row: type[msgspec.Struct]) -> Callable[..., msgspec.Struct]:
    """Makes a row from its values in the order of its fields."""
    names = row.__struct_fields__
    if row.__match_args__ == names:  # none of them keyword-only
        return row
    return lambda *values: row(**dict(zip(names, values, strict=True)))


def _statements(name: str, columns: dict[str, str]) -> tuple[str, str, str]:
    quoted = [f'"{column}"' for column in columns]
    key, *others = quoted
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), start=1))
    updates = ", ".join(f"{column} = excluded.{column}" for column in others)
    select = f"select {', '.join(quoted)} from {name} where {key} = any($1::text[])"
    upsert = (
        f"insert into {name} ({', '.join(quoted)}) select * from unnest({arrays}) "
        f"on conflict ({key}) do update set {updates}"
    )
    return select, upsert, f"delete from {name} where {key} = any($1::text[])"


def _adding(view: KeyedView[Any, str] | AggregateView[Any, Any], name: str, upsert: str) -> tuple[str, str]:
    """What adds rows to those that are there, and what deletes those of some keys that have come to nothing."""
    assert isinstance(view, AggregateView)
    key, *_ = view.row.__struct_fields__
    into, _, rest = upsert.partition(" select")
    values, _, _ = rest.partition(" do update")
    added = ", ".join(f'"{each}" = held."{each}" + excluded."{each}"' for each in view.sums)
    add = f"{into.replace(f'into {name}', f'into {name} as held')} select{values} do update set {added}"
    empty = " and ".join(f'"{each}" = 0' for each in view.sums)
    return add, f'delete from {name} where "{key}" = any($1::text[]) and {empty}'


def _item_columns(view: ListView[Any]) -> dict[str, str]:
    return {field.name: column_type(field.type) for field in msgspec.structs.fields(view.item)}


def _list_statements(view: ListView[Any], name: str) -> tuple[str, str, str]:
    """Each changed list is written anew. Its old records go in the same statement, which works because no record has
    a key that an old and a new one could share: theirs are numbers that Postgres gives.
    """
    key, items = view.row.__struct_fields__
    columns = _item_columns(view)
    names = ", ".join(f'"{column}"' for column in columns)
    typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    pairs = ", ".join(f"'{column}', \"{column}\"" for column in columns)
    select = (
        f"select {key}, jsonb_agg(jsonb_build_object({pairs}) order by record_id) from {name} "
        f"where {key} = any($1::text[]) group by {key}"
    )
    upsert = (
        f"with changed as (select * from unnest($1::text[], $2::jsonb[]) as changed({key}, {items})), "
        f"gone as (delete from {name} where {key} in (select {key} from changed)) "
        f"insert into {name} ({key}, {names}) select changed.{key}, item.* "
        f"from changed cross join jsonb_to_recordset(changed.{items}) as item({typed})"
    )
    return select, upsert, f"delete from {name} where {key} = any($1::text[])"
