"""`playhead dead-letters`: what it teaches, and what it refuses before it asks a server."""

import pytest
from typer.testing import CliRunner

from playhead.cli import app

runner = CliRunner()


@pytest.mark.parametrize("command", ["list", "show", "retry", "discard"])
def test_every_command_explains_itself(command: str) -> None:
    shown = runner.invoke(app, ["dead-letters", command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


def test_the_help_says_which_command_is_for_what() -> None:
    shown = runner.invoke(app, ["dead-letters", "--help"]).output
    assert all(command in shown for command in ("list", "show", "retry", "discard"))


def test_all_letters_are_never_meant_by_saying_nothing() -> None:
    assert runner.invoke(app, ["dead-letters", "retry"]).exit_code == 1


def test_letters_are_named_or_looked_for_and_not_both() -> None:
    assert runner.invoke(app, ["dead-letters", "retry", "redis/a/0/1", "--projection", "redis"]).exit_code == 1


def test_nothing_is_discarded_without_a_reason() -> None:
    assert runner.invoke(app, ["dead-letters", "discard", "redis/a/0/1"]).exit_code == 2
