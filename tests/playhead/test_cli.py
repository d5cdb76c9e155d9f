"""The command line, as far as it needs no server."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra import settings as settings_module
from infra.access.permissions import Principal
from infra.access.tokens import Tokens
from playhead.cli import app

runner = CliRunner()
SERVERS = ["up", "down", "status", "logs", "migrate"]
PROCESSES = ["commands", "relay", "projections", "query-api", "scheduler", "audits"]
COMMANDS = [*SERVERS, *PROCESSES, "audit", "catalog", "demo", "replay", "token", "views"]


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory of the test's own."""
    monkeypatch.setenv("PLAYHEAD_STATE_DIR", str(tmp_path))
    settings_module.settings.cache_clear()


def test_help_names_every_command_and_what_to_do_first() -> None:
    shown = runner.invoke(app, ["--help"]).output
    assert "playhead demo" in shown
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = runner.invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


def test_a_minted_token_says_whom_it_is_for() -> None:
    minted = runner.invoke(app, ["token", "--subject", "ed", "--role", "editor", "--role", "analyst"])
    principal = Tokens(settings_module.settings()).verify_access(minted.output.strip())
    assert principal == Principal(subject="ed", roles=("editor", "analyst"))


def test_a_viewer_needs_an_account_and_a_profile() -> None:
    refused = runner.invoke(app, ["token", "--profile", "profile-1"])
    assert refused.exit_code == 1
    assert "--account" in refused.output


def test_schemas_are_checked() -> None:
    assert runner.invoke(app, ["schemas", "--check"]).exit_code == 0


def test_a_store_that_does_not_exist_is_refused_with_those_that_do() -> None:
    refused = runner.invoke(app, ["projections", "oracle"])
    assert refused.exit_code == 2
    assert "postgres" in refused.output


def test_a_server_that_does_not_answer_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYHEAD_POSTGRES_DSN", "postgresql://playhead@127.0.0.1:1/playhead")
    monkeypatch.setenv("PLAYHEAD_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("PLAYHEAD_CASSANDRA_PORT", "1")
    refused = runner.invoke(app, ["migrate"])
    assert refused.exit_code == 1
    assert "does not answer" in refused.output
    assert "playhead up" in refused.output


def test_a_process_that_is_not_there_is_not_ready() -> None:
    refused = runner.invoke(app, ["health", "http://127.0.0.1:1"])
    assert refused.exit_code == 1
    assert "not ready" in refused.output


def test_a_rebuild_is_of_a_view_or_of_all() -> None:
    for arguments in ([], ["subscriptions", "--all"]):
        refused = runner.invoke(app, ["views", "rebuild", *arguments])
        assert refused.exit_code == 1
        assert "name a view, or say --all" in refused.output
