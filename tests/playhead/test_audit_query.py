"""`playhead audit query` on an archive in a directory."""

import re
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from infra import settings as settings_module
from playhead.audit import app
from tests.audits.sql.archives import archive_of
from tests.builders import playback_started, reported

runner = CliRunner()


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with an archive."""
    monkeypatch.setenv("PLAYHEAD_STATE_DIR", str(tmp_path))
    settings_module.settings.cache_clear()
    archive_of(tmp_path, [playback_started(), *(reported(seq=seq) for seq in range(1, 4))])
    return tmp_path


def query(*arguments: str, stdin: str | None = None) -> Result:
    return runner.invoke(app, ["query", *arguments], input=stdin)


def test_an_answer_is_a_table() -> None:
    shown = query("select type, count(*) as events from events group by type order by type")
    assert shown.exit_code == 0
    assert re.search(r"playback\.PlaybackProgressed\.v1 +3", shown.output)


def test_a_long_table_says_that_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYHEAD_AUDIT_QUERY_SHOWN_ROWS", "2")
    settings_module.settings.cache_clear()
    assert "The first 2 rows" in query("select id from events").output


def test_json_lines_and_csv_go_to_the_terminal_or_into_a_file(tmp_path: Path) -> None:
    lines = query("select id from events order by id", "--format", "jsonl").stdout.splitlines()
    assert next(msgspec.json.decode(line)["id"] for line in lines) == "session-1/1"
    file = tmp_path / "answer.csv"
    assert query("-", "--format", "csv", "--output", str(file), stdin="select id from events limit 1").exit_code == 0
    assert file.read_text().splitlines()[0] == "id"


def test_a_file_of_too_many_rows_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYHEAD_AUDIT_QUERY_MAX_ROWS", "2")
    settings_module.settings.cache_clear()
    for format_ in ("jsonl", "csv", "parquet"):
        file = tmp_path / "answer"
        refused = query("select id from events", "--format", format_, "--output", str(file))
        assert refused.exit_code == 1
        assert "more than 2 rows" in refused.output
        assert [path for path in tmp_path.iterdir() if "answer" in path.name] == []


def test_the_tables_and_the_plan_are_shown() -> None:
    listed = query("--list")
    assert listed.exit_code == 0
    assert all(name in listed.output for name in ("playback_events", "subscription_events_dlq", "history_time", "JSON"))
    assert "Projections: id" in query("select id from events where day >= '2026-11-20'", "--explain").output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("selec",), "LINE 1"),
        (("copy events to 'x'",), "A query reads"),
        (("select 1", "--format", "parquet"), "--output"),
        ((), "--list"),
    ],
)
def test_a_refusal_says_what_to_do(arguments: tuple[str, ...], told: str) -> None:
    refused = query(*arguments)
    assert refused.exit_code == 1
    assert told in refused.output
