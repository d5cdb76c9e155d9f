"""What a test needs to call any route of both APIs: its rows, its example body, and its path filled in."""

from dataclasses import dataclass
from typing import Any, Final

import httpx
from fastapi import FastAPI

from infra.http.access_table import Entry, access_table

FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """A route of an app, and how to call it rightly: `body` as its document shows it, None where it takes none."""

    app: FastAPI
    row: Entry
    body: Any
    is_form: bool = False

    @property
    def name(self) -> str:
        return f"{self.row.method} {self.row.path}"

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return [part[1:-1] for part in self.row.path.split("/") if part.startswith("{")]

    async def send(
        self, client: httpx.AsyncClient, ids: dict[str, str], headers: dict[str, str], *, body: Any = ...
    ) -> httpx.Response:
        """The reply. `body` instead of the example: bytes are sent as they are."""
        given = self.body if body is ... else body
        path = self.row.path.format_map(ids)
        if isinstance(given, bytes):
            headers = {"Content-Type": "application/json", **headers}
            return await client.request(self.row.method, path, content=given, headers=headers)
        sent = {"data": given} if self.is_form else {"json": given}
        return await client.request(self.row.method, path, headers=headers, **(sent if given is not None else {}))


def calls_of(app: FastAPI) -> list[Call]:
    """Every route of an app."""
    document = app.openapi()
    return [_call(app, row, document) for row in access_table(app)]


def _call(app: FastAPI, row: Entry, document: dict[str, Any]) -> Call:
    operation = document["paths"].get(row.path, {}).get(row.method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {})
    for kind, body in content.items():
        return Call(app, row, _example(body, document), is_form=kind == FORM)
    return Call(app, row, None)


def _example(content: dict[str, Any], document: dict[str, Any]) -> Any:
    if "example" in content:
        return content["example"]
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return next(iter(schema.get("examples", [{}])))
