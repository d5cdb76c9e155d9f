"""What the documents promise to list, they list."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.test_names import MODULES, ROOT, parsed

DOCS = ROOT / "docs"


def rows(document: Path) -> set[str]:
    """The first cell of every row of a document's tables."""
    return set(re.findall(r"^\| ([A-Za-z0-9_-]+) \|", document.read_text(), re.MULTILINE))


def problem_names() -> set[str]:
    """The slug of every ProblemKind in the code, and the problem of every rejected or remarked event."""
    names = set()
    for module in map(parsed, MODULES):
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            called = getattr(call.func, "id", "")
            texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
            if called == "ProblemKind" and len(texts) == 3:
                names.add(texts[1])
            if called == "Result" and len(call.args) == 4 and isinstance(call.args[2], ast.Constant):
                names.add(call.args[2].value)
    return {str(name) for name in names}


def required(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {re.split(r"[\[=<>]", line)[0].strip() for line in lines if line and line[0] not in "#-"}


def test_every_problem_is_documented() -> None:
    undocumented = problem_names() - rows(DOCS / "problems.md")
    assert undocumented == set()


@pytest.mark.parametrize("file", ["requirements.in", "requirements-dev.in"])
def test_every_dependency_says_why(file: str) -> None:
    assert required(file) - rows(DOCS / "dependencies.md") == set()


def test_no_dependency_is_documented_that_is_gone() -> None:
    assert rows(DOCS / "dependencies.md") - {"package", "---"} <= required("requirements.in") | required(
        "requirements-dev.in"
    )


@pytest.mark.parametrize("adr", sorted((DOCS / "adr").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_is_short(adr: Path) -> None:
    assert len(adr.read_text().splitlines()) <= 60


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_pinned_with_hashes_and_name_no_index(file: str) -> None:
    text = (ROOT / file).read_text()
    pins = re.findall(r"^[a-z0-9._-]+(?:\[[^\]]*\])?==\S+", text, re.MULTILINE)
    assert len(pins) > 20
    assert text.count("--hash=sha256:") >= len(pins)
    assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links", text)


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
