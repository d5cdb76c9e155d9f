"""The OpenAPI document shows by example what every parameter may be, and every reply."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from query_api.tables.formats import MEDIA_TYPES, Format
from tests.query_api.test_openapi import operations

LISTED = ("format", "fields", "group_by", "interval", "sort", "tier", "kind", "licence")
"""Parameters whose values are of a closed list."""


def parameters(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operation in operations(app):
        for parameter in operation.get("parameters", []):
            yield path, parameter


def examples_of(shown: dict[str, Any]) -> list[Any]:
    """Those of a parameter or a reply, wherever OpenAPI has them."""
    named = shown.get("examples", {})
    whole = [shown["example"]] if "example" in shown else []
    listed: list[Any] = shown.get("schema", {}).get("examples", [])
    return [*whole, *(each["value"] for each in named.values()), *listed]


def test_every_parameter_has_an_example(app: FastAPI) -> None:
    lacking = [(path, each["name"]) for path, each in parameters(app) if not examples_of(each)]
    assert lacking == []


def test_every_reply_has_an_example(app: FastAPI) -> None:
    lacking = [
        (path, status, media_type)
        for path, operation in operations(app)
        for status, response in operation["responses"].items()
        for media_type, content in response.get("content", {}).items()  # a 304 has none
        if not examples_of(content)
    ]
    assert lacking == []


def test_an_example_of_a_parameter_is_one_that_it_takes(app: FastAPI) -> None:
    for path, parameter in parameters(app):
        for example in examples_of(parameter):
            for schema in alternatives(app, parameter["schema"]):
                if "enum" in schema:
                    assert example in schema["enum"], (path, parameter["name"])
                for given in example if "items" in schema and isinstance(example, list) else ():
                    assert given in enumerated(app, schema["items"], given), (path, parameter["name"])


@pytest.mark.parametrize("name", LISTED)
def test_what_is_of_a_closed_list_is_documented_as_one(app: FastAPI, name: str) -> None:
    found = [each for _, each in parameters(app) if each["name"] == name]
    assert found
    for parameter in found:
        kinds = alternatives(app, parameter["schema"])
        [listed] = [each for each in kinds if each.get("type") != "null"]
        assert "enum" in resolved(app, listed.get("items", listed)), parameter


def test_every_format_of_a_table_shows_the_same_rows(app: FastAPI) -> None:
    tables = [
        operation["responses"]["200"]["content"]
        for _, operation in operations(app)
        if any(each["name"] == "format" for each in operation.get("parameters", []))
    ]
    assert len(tables) > 20
    rows = TypeAdapter(list[dict[str, object]])
    for content in tables:
        assert set(content) == set(MEDIA_TYPES.values())
        lines = [msgspec.json.decode(line) for line in content[MEDIA_TYPES[Format.JSONL]]["example"].splitlines()]
        assert len(rows.validate_python(lines)) >= 1
        assert len(content[MEDIA_TYPES[Format.CSV]]["example"].split("\r\n")) == len(lines) + 2


def resolved(app: FastAPI, schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = app.openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def alternatives(app: FastAPI, schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [resolved(app, each) for each in schema.get("anyOf", [schema])]


def enumerated(app: FastAPI, schema: dict[str, Any], given: object) -> list[object]:
    """What a schema lists; whatever is given, when it lists nothing."""
    listed: list[object] = resolved(app, schema).get("enum", [given])
    return listed
