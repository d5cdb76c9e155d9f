"""Answers as JSON Lines, CSV and Parquet: as exact as each can say it."""

import csv
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from io import StringIO
from typing import Final, TextIO, TypeAlias

import msgspec
import pyarrow
import pyarrow.parquet

from audits.sql.asking import Answer
from query_api.tables.writing import cell_of

Value: TypeAlias = "bool | int | float | str | msgspec.Raw | list[Value] | dict[str, Value] | None"
"""A cell as JSON has it."""

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def rows_of(answer: Answer, batch: pyarrow.RecordBatch) -> Iterator[tuple[Value, ...]]:
    """The rows of a batch, their cells in the order of the columns, of which two may have the same name."""
    columns = [_column(column, type_) for column, type_ in zip(batch.columns, answer.types, strict=True)]
    return zip(*columns, strict=True)


def shown(value: Value) -> str:
    """A cell for a person's eyes."""
    return value if isinstance(value, str) else "" if value is None else _encode(value).decode()


def write_jsonl(answer: Answer, to: TextIO) -> None:
    """A document a line; of columns that have one name, those after the first have a number behind it. Raises
    QueryRefused.
    """
    names = _distinct(answer.names)
    for batch in answer.batches:
        rows = rows_of(answer, batch)
        to.writelines(_encode(dict(zip(names, row, strict=True))).decode() + "\n" for row in rows)


def write_csv(answer: Answer, to: TextIO) -> None:
    """RFC 4180, as the query API writes it: nothing in a cell is a formula to a spreadsheet. Raises QueryRefused."""
    to.write(_csv(answer.names))
    for batch in answer.batches:
        to.writelines(_csv(_cell(value) for value in row) for row in rows_of(answer, batch))


def write_parquet(answer: Answer, path: str) -> None:
    """A file with DuckDB's types. Raises QueryRefused."""
    with pyarrow.parquet.ParquetWriter(path, answer.schema, compression="zstd") as writer:
        for batch in answer.batches:
            writer.write_batch(batch)


def _column(column: pyarrow.Array, type_: str) -> Iterator[Value]:
    cells = column.to_pylist()
    if type_ == "JSON":
        return (None if cell is None else msgspec.Raw(cell.encode()) for cell in cells)
    return map(_value, cells)


def _value(cell: object) -> Value:
    match cell:
        case None | bool() | int() | float() | str():
            return cell
        case Decimal():
            return int(cell) if cell == cell.to_integral_value() else float(cell)
        case list():
            return [_value(each) for each in cell]
        case dict():
            return {str(name): _value(each) for name, each in cell.items()}
        case _:
            return _text(cell)


def _text(cell: object) -> str:
    match cell:
        case datetime():
            return cell.isoformat().replace("+00:00", "Z")
        case date() | time():
            return cell.isoformat()
        case bytes():
            return cell.decode(errors="backslashreplace")
        case _:  # an interval, a UUID
            return str(cell)


def _cell(value: Value) -> str:
    if isinstance(value, msgspec.Raw):
        return _document(value)
    return cell_of(value) if isinstance(value, str | None) else _encode(value).decode()


def _document(value: msgspec.Raw) -> str:
    decoded = msgspec.json.decode(value)
    return cell_of(decoded) if isinstance(decoded, str) else bytes(value).decode()


def _distinct(names: Sequence[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        number = 1
        while (candidate := name if number == 1 else f"{name}_{number}") in made:
            number += 1
        made.append(candidate)
    return made


def _csv(cells: "Iterator[str] | Sequence[str]") -> str:
    line = StringIO(newline="")
    csv.writer(line).writerow(cells)
    return line.getvalue()
