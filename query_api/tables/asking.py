"""What a request asks of a table, and the reply to it: a page as JSON; as CSV or JSON Lines a page, or, where it names
no `limit`, all that follows, read page by page.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec
from fastapi import Depends, Query, Request, Response
from pydantic import AfterValidator, BaseModel, WithJsonSchema
from pydantic_core import PydanticCustomError

from infra.http.problems import Problem, ProblemKind
from infra.settings import Settings
from query_api.dependencies import AskedPage, Page, ReadSettings
from query_api.tables.columns import Path, Row, chosen, projected
from query_api.tables.formats import MEDIA_TYPES, Format, accepted
from query_api.tables.parameters import COMMAS
from query_api.tables.streaming import Pieces, in_time
from query_api.tables.table import Document, Table, document_of, written
from query_api.tables.writing import Writer, writer_of

Body: TypeAlias = BaseModel | msgspec.Struct
"""A reply: rows under one name, `next_cursor` where there are pages, and whatever is said of all rows."""
ReadPage: TypeAlias = Callable[[AskedPage], Awaitable[Body]]

EXPORT_CUT = ProblemKind(422, "export-cut", "There are more rows than are sent in one reply")

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Shape:
    """How rows are wanted: in which format, and with which columns (None: all)."""

    format: Format
    columns: tuple[Path, ...] | None

    def wants(self, *fields: str) -> bool:
        """Whether one of some fields is in the reply: what nobody asks for need not be read."""
        return self.columns is None or any(".".join(path) in fields for path in self.columns)


@dataclass(frozen=True)
class Asked:
    """A request for a table without pages."""

    table: Table
    request: Request
    settings: Settings
    shape: Shape

    def reply(self, body: Body, headers: Mapping[str, str] | None = None) -> Response:
        """The reply, in the format and with the fields that are asked for."""
        said = _json(body)
        if self.shape.format is not Format.JSON:
            return self._lines(written(self._writer(), self.table.rows_of(document_of(said))), headers)
        if self.shape.columns is not None:
            said = self._projected(document_of(said), self.shape.columns)
        return Response(said, media_type=MEDIA_TYPES[Format.JSON], headers=_varying(headers))

    def _projected(self, document: Document, columns: Sequence[Path]) -> bytes:
        rows = [projected(row, columns) for row in self.table.rows_of(document)]
        return _encode({**document, self.table.rows: rows})

    def _writer(self) -> Writer:
        return writer_of(self.shape.format, self.table.columns, self.shape.columns)

    def _lines(self, lines: bytes | AsyncIterator[bytes], headers: Mapping[str, str] | None) -> Response:
        format_ = self.shape.format
        saved_as = {"Content-Disposition": f'attachment; filename="{self.table.name}.{format_}"'}
        media_type = f"{MEDIA_TYPES[format_]}; header=present" if format_ is Format.CSV else MEDIA_TYPES[format_]
        headers = {**_varying(headers), **saved_as}
        if isinstance(lines, bytes):
            return Response(lines, media_type=media_type, headers=headers)
        in_bounds = in_time(self.request, lines, timeout_s=self.settings.request_timeout_s, cut=self._writer().cut)
        return Pieces(in_bounds, media_type=media_type, headers=headers)


@dataclass(frozen=True)
class AskedPages(Asked):
    """A request for a table with pages."""

    page: AskedPage

    async def read(self, read: ReadPage, headers: Mapping[str, str] | None = None) -> Response:
        """The reply, of the page or of the pages that are read for it. Raises what `read` raises for the first."""
        if self.shape.format is Format.JSON:
            return self.reply(await read(self.page), headers)
        if self.page.is_limited:
            document = document_of(_json(await read(self.page)))
            lines = written(self._writer(), self.table.rows_of(document))
            return self._lines(lines, {**(headers or {}), **self._next(_cursor(document))})
        first = await read(self._page(self.page.cursor, self.settings.export_max_rows))
        document = document_of(_json(first))
        rows, cursor = self.table.rows_of(document), _cursor(document)
        if cursor is None:
            return self._lines(written(self._writer(), rows), headers)
        return self._lines(self._all(read, rows, cursor), headers)

    async def _all(self, read: ReadPage, rows: Sequence[Row], cursor: str | None) -> AsyncIterator[bytes]:
        """All pages, of which the first is read; and where there are too many rows, from where to go on."""
        writer, left = self._writer(), self.settings.export_max_rows - len(rows)
        yield written(writer, rows)
        while cursor is not None:
            if left <= 0:
                yield writer.cut(self._too_many(cursor))
                return
            document = document_of(_json(await read(self._page(cursor, left))))
            rows, cursor = self.table.rows_of(document), _cursor(document)
            left -= len(rows)
            yield writer.lines(rows)

    def _page(self, cursor: str | None, left: int) -> AskedPage:
        return AskedPage(min(self.settings.export_page_rows, left), cursor)

    def _next(self, cursor: str | None) -> dict[str, str]:
        """Where the next page is (RFC 8288), for formats that have no place for it."""
        if cursor is None:
            return {}
        return {"Link": f'<?{self.request.url.include_query_params(cursor=cursor).query}>; rel="next"'}

    def _too_many(self, cursor: str) -> Problem:
        most = self.settings.export_max_rows
        detail = f"only {most} rows are sent at once; narrow the filters, or go on with cursor={cursor}"
        return Problem(EXPORT_CUT, detail, self.request.url.path, {"next_cursor": cursor})


def asked(table: Table) -> Callable[..., Awaitable[Asked]]:
    """A dependency, for a table without pages. Raises NotAcceptable."""

    async def asked_of(
        request: Request, settings: ReadSettings, shape: Annotated[Shape, Depends(_shape_of(table))]
    ) -> Asked:
        return Asked(table, request, settings, shape)

    return asked_of


def asked_pages(table: Table) -> Callable[..., Awaitable[AskedPages]]:
    """A dependency, for a table with pages. Raises NotAcceptable."""

    async def asked_of(
        request: Request, settings: ReadSettings, shape: Annotated[Shape, Depends(_shape_of(table))], page: Page
    ) -> AskedPages:
        return AskedPages(table, request, settings, shape, page)

    return asked_of


def _shape_of(table: Table) -> Callable[..., Awaitable[Shape]]:
    names = table.fields
    known = AfterValidator(_known(names))

    async def shape(
        request: Request,
        format_: Annotated[
            Format | None,
            Query(alias="format", description="Of the reply; left out: what Accept says", examples=["csv"]),
        ] = None,
        fields: Annotated[
            list[Annotated[str, known, WithJsonSchema({"type": "string", "enum": list(names)})]] | None,
            COMMAS,
            Query(description="Only these fields of each row, separated by commas", examples=[[names[0]]]),
        ] = None,
    ) -> Shape:
        wanted = format_ or accepted(request.headers.get("Accept", ""))
        return Shape(wanted, None if fields is None else chosen(table.columns, fields))

    return shape


def _known(names: Sequence[str]) -> Callable[[str], str]:
    def known(name: str) -> str:
        if name not in names:
            raise PydanticCustomError("enum", "Input should be one of {names}", {"names": ", ".join(names)})
        return name

    return known


def _json(body: Body) -> bytes:
    if isinstance(body, msgspec.Struct):
        return _encode(body)
    return body.model_dump_json(by_alias=True).encode()


def _cursor(document: Document) -> str | None:
    cursor = document.get("next_cursor")
    return cursor if isinstance(cursor, str) else None


def _varying(headers: Mapping[str, str] | None) -> dict[str, str]:
    told = dict(headers or {})
    return {**told, "Vary": ", ".join(filter(None, (told.get("Vary"), "Accept")))}
