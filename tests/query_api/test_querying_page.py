"""docs/querying.md says of every table what it takes: as the OpenAPI document does."""

from collections.abc import Iterator

from fastapi import FastAPI

from tests.architecture.test_names import ROOT
from tests.query_api.test_openapi import operations

RANGE = ("from", "to", "zone", "interval", "hours", "days")
EVERY_TABLE = ("format", "fields")
PAGE = ("limit", "cursor")


def rows(app: FastAPI) -> Iterator[str]:
    """The rows of the page's table: run with `pytest -s`, it prints those that it should have."""
    for path, operation in operations(app):
        names = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
        if "format" in names:
            among = [name for name in names if name not in (*EVERY_TABLE, *PAGE, *RANGE)]
            ranges = [name for name in RANGE if name in names]
            pages = "pages" if "cursor" in names else "the first" if "limit" in names else "all"
            yield f"| `{path}` | {_said(among)} | {_said(ranges)} | {pages} |"


def _said(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def test_the_page_says_of_every_table_what_it_takes(app: FastAPI) -> None:
    page = (ROOT / "docs" / "querying.md").read_text()
    [tables] = [section for section in page.split("\n## ") if section.startswith("Tables\n")]
    said = [line for line in tables.splitlines() if line.startswith("| `/v1/")]
    expected = sorted(rows(app))
    print("\n", *expected, sep="\n")
    assert sorted(said) == expected


def test_the_page_names_what_is_no_table(app: FastAPI) -> None:
    page = (ROOT / "docs" / "querying.md").read_text()
    for path, operation in operations(app):
        if "format" not in {each["name"] for each in operation.get("parameters", [])}:
            assert f"`{path}`" in page, path
