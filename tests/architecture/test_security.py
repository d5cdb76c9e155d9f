"""docs/security.md: each of the ten risks has a row, and each test and file that a row names is there."""

import ast
import re

import pytest

from tests.architecture.test_names import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| API")]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)))
FILES = sorted(set(re.findall(r"`((?:commands|infra|query_api|events|playhead)/[\w/]*(?:\.py)?)`", TEXT)))


def test_every_risk_of_the_ten_has_a_row() -> None:
    assert [int(re.findall(r"\d+", row)[0]) for row in ROWS] == list(range(1, 11))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:7])
def test_a_row_names_where_and_which_test_proves_it(row: str) -> None:
    _, _, where, proof = row.strip("|").split("|")
    assert "`" in where
    assert "`tests/" in proof


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    module = ast.parse((ROOT / file).read_text())
    names = {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert any(name.startswith("test_") for name in names)
    assert not test or test in names


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_named_is_there(file: str) -> None:
    assert (ROOT / file).exists()
