"""Rows as lines: CSV (RFC 4180) and JSON Lines, each with a last line for what was cut off."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final, Protocol

import msgspec
from pydantic import JsonValue

from infra.http.problems import Problem
from query_api.tables.columns import Path, Row, projected, value_at
from query_api.tables.formats import Format

FORMULA: Final = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
"""How a text begins that a spreadsheet takes for a formula (OWASP, "CSV Injection"), or that was marked as none."""

_encode: Final = msgspec.json.Encoder().encode


class Writer(Protocol):
    """Rows in a format."""

    def header(self) -> bytes:
        """What comes before all rows."""
        ...

    def lines(self, rows: Iterable[Row]) -> bytes:
        """The lines of some rows."""
        ...

    def cut(self, problem: Problem) -> bytes:
        """The last line, where rows are missing after it, with the reason."""
        ...


class JsonLines:
    """A JSON document a line; `columns`: only these, None: all."""

    def __init__(self, columns: Sequence[Path] | None = None) -> None:
        self._columns = columns

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def lines(self, rows: Iterable[Row]) -> bytes:
        """A line each."""
        return b"".join(_encode(self._shown(row)) + b"\n" for row in rows)

    def cut(self, problem: Problem) -> bytes:
        """A document with the one member `problem`, which no row has."""
        return b'{"problem":' + problem.body() + b"}\n"

    def _shown(self, row: Row) -> Row:
        return row if self._columns is None else projected(row, self._columns)


class Csv:
    """A line with the names of the columns, then a line a row. The line that says that rows are missing has as many
    cells, the first of which begins with "# ".
    """

    def __init__(self, columns: Sequence[Path]) -> None:
        self._columns = columns

    def header(self) -> bytes:
        """The names of the columns."""
        return _csv([[".".join(path) for path in self._columns]])

    def lines(self, rows: Iterable[Row]) -> bytes:
        """A line each."""
        return _csv([cell_of(value_at(row, path)) for path in self._columns] for row in rows)

    def cut(self, problem: Problem) -> bytes:
        """The problem's name and what it says."""
        return _csv([[f"# {problem.kind.slug}: {problem.detail}", *[""] * (len(self._columns) - 1)]])


def writer_of(format_: Format, all_columns: Sequence[Path], asked: Sequence[Path] | None) -> Writer:
    """Writes rows in a format, with the columns that were asked for (None: with all)."""
    return Csv(all_columns if asked is None else asked) if format_ is Format.CSV else JsonLines(asked)


def cell_of(value: JsonValue) -> str:
    """A value as CSV has it: null as nothing, a text as it is, whatever else as JSON. A text that a spreadsheet would
    take for a formula gets a ' in front; who reads it by machine takes it away again, see text_of().
    """
    match value:
        case None:
            return ""
        case str():
            return f"'{value}" if FORMULA.match(value) else value
        case _:
            return _encode(value).decode()


def text_of(cell: str) -> str:
    """The text that a cell stands for."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    written = StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
