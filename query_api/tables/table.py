"""A table: which fields its rows have, and what its route documents."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, JsonValue

from infra.http.openapi import Responses, refusals
from infra.http.problems import ProblemKind
from query_api.tables.columns import Row, columns_of, names_of
from query_api.tables.formats import MEDIA_TYPES, NOT_ACCEPTABLE, Format
from query_api.tables.writing import Writer, writer_of

Document: TypeAlias = dict[str, JsonValue]
"""A reply's body as JSON has it."""

_document: Final = msgspec.json.Decoder(dict[str, object])


class Projected(BaseModel):
    """The reply to a request with `fields`: each row has only those, and what is said of all rows is there."""

    model_config = ConfigDict(extra="allow")


class Table:
    """A table. `row`: the model that documents a row; `name`: of a file that it is saved as; `rows`: under which name
    the reply has them.
    """

    def __init__(self, row: type[BaseModel], *, name: str, rows: str = "items") -> None:
        self.name = name
        self.rows = rows
        self.columns = columns_of(row)
        self.fields = names_of(self.columns)

    def rows_of(self, document: Mapping[str, JsonValue]) -> Sequence[Row]:
        """The rows of a reply."""
        rows = document[self.rows]
        assert isinstance(rows, list)
        return [row for row in rows if isinstance(row, dict)]

    def replies(self, example: Mapping[str, object], *kinds: ProblemKind) -> Responses:
        """The `responses=` of the table's route: the example in every format, and how it can refuse."""
        document = document_of(msgspec.json.encode(example))
        content: dict[str, dict[str, object]] = {MEDIA_TYPES[Format.JSON]: {"example": example}}
        for each in (Format.CSV, Format.JSONL):
            text = written(writer_of(each, self.columns, None), self.rows_of(document)).decode()
            content[MEDIA_TYPES[each]] = {"schema": {"type": "string"}, "example": text}
        return {200: {"content": content}, **refusals(*kinds, NOT_ACCEPTABLE)}


def document_of(body: bytes) -> Document:
    """A body of JSON, read."""
    document: Document = _document.decode(body)  # type: ignore[assignment]  # what JSON decodes to
    return document


def written(writer: Writer, rows: Sequence[Row]) -> bytes:
    """All rows in one piece."""
    return writer.header() + writer.lines(rows)
