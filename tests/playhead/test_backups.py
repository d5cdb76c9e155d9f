"""What `playhead backup` and `restore` say when they cannot, and that nothing is left then."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.settings import Settings
from playhead.backup_work import back_up, bring_back
from playhead.cli import app

AWAY = "postgresql://nobody@127.0.0.1:1/nothing"


def test_a_directory_that_is_there_is_not_written_into(tmp_path: Path) -> None:
    refused = back_up(Settings(state_dir=tmp_path), tmp_path, with_archive=False)
    assert refused is not None
    assert "is there already: a backup is written once" in refused


def test_a_backup_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", postgres_dsn=AWAY)
    (tmp_path / "backups").mkdir()
    assert back_up(settings, tmp_path / "backups" / "one", with_archive=False) is not None
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    refused = bring_back(Settings(state_dir=tmp_path), tmp_path, None)
    assert refused is not None
    assert "it is no backup, or one that was not ended" in refused


@pytest.mark.parametrize(("command", "option"), [("backup", "--with-archive"), ("restore", "--only-verify")])
def test_the_commands_tell_what_they_do(command: str, option: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"])
    assert told.exit_code == 0
    assert option in told.output
