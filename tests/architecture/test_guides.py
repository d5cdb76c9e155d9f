"""What the guides show stands in the files that they show it of, and these are there."""

import re
from pathlib import Path

import pytest

from tests.architecture.test_names import ROOT

GUIDES = [ROOT / "docs" / "adding-a-view.md"]
BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
A_FILE = re.compile(r"`([a-z_]+/[A-Za-z0-9_./-]*)`")
A_TEST = re.compile(r"`(test_\w+)`")

every_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)


@every_guide
def test_every_block_stands_in_the_file_that_it_names(guide: Path) -> None:
    blocks = BLOCK.findall(guide.read_text())
    assert len(blocks) > 5
    assert [(file, block) for file, block in blocks if block not in (ROOT / file).read_text()] == []


@every_guide
def test_every_file_that_is_named_is_there(guide: Path) -> None:
    named = set(A_FILE.findall(guide.read_text()))
    assert len(named) > 10
    assert {file for file in named if not (ROOT / file).exists()} == set()


@every_guide
def test_every_test_that_is_named_is_there(guide: Path) -> None:
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in A_TEST.findall(guide.read_text()) if f"def {name}(" not in written} == set()
