"""What an import remembers: what was written is there again, and of several lines of a title the last counts."""

from pathlib import Path

import pytest

from commands.catalog.importing.journal import ErrorFile, Journal, StateUnreadable, Taken
from commands.catalog.importing.lines import Identity, LineProblem

FILM = Identity("sintel")


def taken(line: bytes, identity: Identity = FILM) -> Taken:
    return Taken.of(identity, line, "catalog.title-1")


def test_a_line_is_remembered_until_it_says_something_else(tmp_path: Path) -> None:
    journal = Journal.load(tmp_path / "state")
    journal.take(taken(b"one"))
    journal.take(taken(b"two"))
    journal.flush()
    again = Journal.load(tmp_path / "state")
    assert (again.has(FILM, b"one"), again.has(FILM, b"two"), len(again)) == (False, True, 1)
    assert again.last_stream == "catalog.title-1"


def test_an_episode_is_not_a_film_of_the_same_name(tmp_path: Path) -> None:
    journal = Journal.load(tmp_path / "state")
    journal.take(taken(b"one", Identity("1", "harbour")))
    assert not journal.has(Identity("1"), b"one")
    assert not journal.has(Identity("1", "another"), b"one")


def test_a_line_that_was_cut_off_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = Journal.load(path)
    journal.take(taken(b"one"))
    journal.take(taken(b"two", Identity("durian")))
    journal.flush()
    path.write_bytes(path.read_bytes()[:-9])
    again = Journal.load(path)
    assert (again.has(FILM, b"one"), len(again)) == (True, 1)


def test_what_was_not_flushed_is_bounded(tmp_path: Path) -> None:
    journal = Journal.load(tmp_path / "state")
    for number in range(1_000):
        journal.take(taken(b"x", Identity(str(number))))
    assert len(Journal.load(tmp_path / "state")) >= 800


def test_a_file_that_no_import_wrote_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("my notes\n")
    with pytest.raises(StateUnreadable):
        Journal.load(path)
    assert path.read_text() == "my notes\n"


def test_errors_are_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "errors"
    path.write_text("of before\n")
    errors = ErrorFile(path)
    assert not path.exists()
    errors.write(7, "sintel", LineProblem("texts-invalid", "why", "/texts"))
    expected = b'{"line":7,"external_id":"sintel","problem":"texts-invalid","detail":"why","pointer":"/texts"}\n'
    assert path.read_bytes() == expected
