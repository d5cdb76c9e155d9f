"""The history as JSON Lines, CSV and Parquet: what is known of each event, and, where it is asked for, its bytes."""

import csv
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from io import StringIO
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from audits.history.events import HistoryEvent
from audits.history.trees import Branch
from infra.archive.columns import MOMENT
from query_api.tables.writing import cell_of

Cell: TypeAlias = str | int | bool | datetime | msgspec.Raw | bytes | None
Column: TypeAlias = tuple[str, Any, Callable[[HistoryEvent], Cell]]

COLUMNS: Final[tuple[Column, ...]] = (
    ("place", pa.string(), lambda event: event.place),
    ("read_from", pa.string(), lambda event: str(event.source)),
    ("topic", pa.string(), lambda event: event.topic),
    ("partition", pa.int32(), lambda event: event.partition),
    ("offset", pa.int64(), lambda event: event.offset),
    ("position", pa.int64(), lambda event: event.position),
    ("history_time", MOMENT, lambda event: event.history_time),
    ("id", pa.string(), lambda event: event.id),
    ("type", pa.string(), lambda event: event.type),
    ("stream", pa.string(), lambda event: event.stream),
    ("time", MOMENT, lambda event: event.time),
    ("recorded_time", MOMENT, lambda event: event.recorded_time),
    ("sequence", pa.int64(), lambda event: event.sequence),
    ("correlation_id", pa.string(), lambda event: event.correlation_id),
    ("causation_id", pa.string(), lambda event: event.causation_id),
    ("actor", pa.string(), lambda event: event.principal),
    ("account_id", pa.string(), lambda event: event.envelope.account_id),
    ("profile_id", pa.string(), lambda event: event.envelope.profile_id),
    ("session_id", pa.string(), lambda event: event.envelope.session_id),
    ("title_id", pa.string(), lambda event: event.envelope.title_id),
    ("undecodable", pa.bool_(), lambda event: event.is_undecodable),
    ("replayed", pa.bool_(), lambda event: event.is_replayed),
)
NAMES: Final = tuple(name for name, _, _ in COLUMNS)

_encode: Final = msgspec.json.Encoder().encode


class Writer(Protocol):
    """Writes events in order. `bodies`: what is shown of each as its bytes."""

    def write(self, events: Sequence[HistoryEvent], bodies: Sequence[bytes]) -> None:
        """Some more."""

    def close(self) -> None:
        """The end of it."""


class JsonLines:
    """A document a line. With data, `event` is the event as it was recorded; of what is none, `value` is its bytes in
    base64."""

    def __init__(self, to: BinaryIO, *, with_data: bool) -> None:
        self._to = to
        self._with_data = with_data

    def write(self, events: Sequence[HistoryEvent], bodies: Sequence[bytes]) -> None:
        """See Writer."""
        for event, body in zip(events, bodies, strict=True):
            told = document_of(event)
            if self._with_data:
                told |= _data_of(event, body)
            self._to.write(_encode(told) + b"\n")

    def close(self) -> None:
        """See Writer."""


class Csv:
    """RFC 4180: a line with the names, then a line an event; nothing in a cell is a formula to a spreadsheet."""

    def __init__(self, to: BinaryIO, *, with_data: bool) -> None:
        self._to = to
        self._with_data = with_data
        self._line([*NAMES, *(["event"] if with_data else [])])

    def write(self, events: Sequence[HistoryEvent], bodies: Sequence[bytes]) -> None:
        """See Writer."""
        for event, body in zip(events, bodies, strict=True):
            cells = [_text(read(event)) for _, _, read in COLUMNS]
            self._line([*cells, _text_of(event, body)] if self._with_data else cells)

    def close(self) -> None:
        """See Writer."""

    def _line(self, cells: Sequence[str]) -> None:
        line = StringIO(newline="")
        csv.writer(line).writerow(cells)
        self._to.write(line.getvalue().encode())


class Parquet:
    """Columns with types; with data, `value` has the very bytes."""

    def __init__(self, to: BinaryIO, *, with_data: bool) -> None:
        self._with_data = with_data
        fields = [pa.field(name, type_) for name, type_, _ in COLUMNS]
        self._schema = pa.schema([*fields, *([pa.field("value", pa.binary())] if with_data else [])])
        self._writer = pq.ParquetWriter(to, self._schema, compression="zstd")

    def write(self, events: Sequence[HistoryEvent], bodies: Sequence[bytes]) -> None:
        """See Writer."""
        columns = [pa.array([read(event) for event in events], type_) for _, type_, read in COLUMNS]
        if self._with_data:
            columns.append(pa.array(bodies, pa.binary()))
        self._writer.write_table(pa.table(columns, schema=self._schema))

    def close(self) -> None:
        """See Writer."""
        self._writer.close()


WRITERS: Final[dict[str, Callable[..., Writer]]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}


def document_of(event: HistoryEvent) -> dict[str, Cell]:
    """What is known of an event, but its data, without what is not there."""
    told = {name: read(event) for name, _, read in COLUMNS}
    return {name: value for name, value in told.items() if value is not None and value is not False}


def branch_line(branch: Branch) -> bytes:
    """An event of a tree as a line of JSON: how deep it is, what is known of it, and what is odd about it."""
    told = {"depth": branch.depth, **document_of(branch.event), **({"note": branch.note} if branch.note else {})}
    return _encode(told) + b"\n"


def _data_of(event: HistoryEvent, body: bytes) -> dict[str, Cell]:
    text = _json_of(event, body)
    return {"value": b64encode(body).decode()} if text is None else {"event": msgspec.Raw(text.encode())}


def _text_of(event: HistoryEvent, body: bytes) -> str:
    text = _json_of(event, body)
    return b64encode(body).decode() if text is None else text


def _json_of(event: HistoryEvent, body: bytes) -> str | None:
    """An event's bytes as one line of JSON; None for what is no event, or no text."""
    if event.is_undecodable:
        return None
    try:
        return (msgspec.json.format(body, indent=-1) if b"\n" in body else body).decode()
    except UnicodeDecodeError:
        return None


def _text(value: Cell) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return cell_of(value)  # type: ignore[arg-type]  # columns hold nothing that JSON does not
