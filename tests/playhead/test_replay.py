"""What `playhead replay` refuses before it does anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra import settings as settings_module
from playhead.cli import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory of the test's own."""
    monkeypatch.setenv("PLAYHEAD_STATE_DIR", str(tmp_path))
    settings_module.settings.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--to-topic"),
        (("--to-topic", "a", "--to-url", "http://localhost/"), "--to-topic"),
        (("--to-topic", "playback.events"), "--i-know-it-is-live playback.events"),
        (("--to-topic", "playback.events", "--force-live"), "--i-know-it-is-live playback.events"),
        (("--to-topic", "identity.events", "--force-live", "--i-know-it-is-live", "identity.events"), "forced or not"),
        (("--to-url", "ftp://localhost/"), "http://"),
        (("--to-topic", "a", "--speed", "fast"), "1x, 2.5x, or max"),
        (("--to-topic", "a", "--rate", "5"), "500/s"),
        (("--to-topic", "a", "--topic", "playbak.events"), "no topic"),
        (("--to-topic", "a", "--type", "playback.Strated"), "no type"),
        (("--to-topic", "a", "--without", "memory"), "archive, kafka, log"),
        (("--to-topic", "a", "--since", "2026-11-22", "--until", "2026-11-21"), "since"),
        (("--resume", "../servers"), "no replay"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_what_can(arguments: tuple[str, ...], told: str) -> None:
    refused = runner.invoke(app, ["replay", *arguments])
    assert refused.exit_code == 1
    assert told in refused.output
