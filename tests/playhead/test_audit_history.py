"""`playhead audit history` on an archive alone: what it shows, in every format, and how it refuses."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from events.envelope import encode
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.settings import Settings
from playhead.audit_history_work import Wanted, run
from playhead.cli import app
from tests import builders
from tests.infra.archive.history import record

ARCHIVE_ALONE = ("kafka", "log")
NEWLINES = encode(builders.playback_started(builders.session("pretty"))).replace(b",", b",\n", 1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An archive of five records: three sessions' beginnings, one in lines of its own, and what is no event."""
    settings = Settings(state_dir=tmp_path)
    poison = record(3, value=b"=cmd|' /C calc'!A0")
    write_file(Archive.open(settings), [*map(record, range(3)), poison, record(4, value=NEWLINES)])
    return settings


def show(settings: Settings, **wanted: Any) -> int:
    """Run it; the exit status."""
    span = (wanted.pop("since", None), wanted.pop("until", None), wanted.pop("zone", "UTC"))
    return run(settings, Wanted(wanted.pop("asked", {}), span, without=ARCHIVE_ALONE, **wanted))


def test_a_table_has_a_row_for_each_event_in_order(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(settings, zone="Asia/Seoul") == 0
    said = capsys.readouterr()
    assert re.findall(r"playback\.events:0:(\d)", said.out) == ["0", "1", "2", "3", "4"]
    assert "2026-11-21 04:00:01.000+09:00" in said.out
    assert "(undecodable)" in said.out
    assert said.out.count("\n") == 6
    assert "Lacking: without Kafka" in said.err


def test_pages_put_together_are_the_whole(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    places, after = [], None
    for _ in range(3):
        assert show(settings, limit=2, after=after) == 0
        said = capsys.readouterr()
        places += re.findall(r"playback\.events:0:(\d)", said.out)
        found = re.search(r"--after (\S+)", said.err)
        after = found[1] if found else None
    assert places == ["0", "1", "2", "3", "4"]
    assert after is None


def test_lines_of_json_hold_the_event_as_it_was_recorded(
    settings: Settings, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert show(settings, format="jsonl", with_data=True) == 0
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert lines[0]["event"] == json.loads(record(0).value or b"")
    assert lines[3]["undecodable"] is True
    assert lines[3]["value"] == "PWNtZHwnIC9DIGNhbGMnIUEw"
    assert lines[4]["event"] == json.loads(NEWLINES)
    assert {"place", "read_from", "history_time", "type", "stream", "account_id"} <= lines[0].keys()


def test_without_data_there_is_none(settings: Settings, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert show(settings, format="jsonl") == 0
    assert not {"event", "value"} & json.loads(capsysbinary.readouterr().out.splitlines()[0]).keys()


def test_a_file_is_whole(settings: Settings, tmp_path: Path) -> None:
    for_spreadsheets, for_machines = tmp_path / "history.csv", tmp_path / "history.parquet"
    assert show(settings, format="csv", output=for_spreadsheets, with_data=True) == 0
    assert show(settings, format="parquet", output=for_machines, with_data=True) == 0
    rows = list(csv.DictReader(for_spreadsheets.open(newline="")))
    assert [row["place"] for row in rows] == [f"playback.events:0:{offset}" for offset in range(5)]
    assert json.loads(rows[4]["event"]) == json.loads(NEWLINES)
    table = pq.read_table(for_machines)
    assert table.column("value").to_pylist()[3] == record(3, value=b"=cmd|' /C calc'!A0").value
    assert table.column("history_time").to_pylist() == sorted(table.column("history_time").to_pylist())


def test_what_fails_leaves_the_file_that_was_there(settings: Settings, tmp_path: Path) -> None:
    output = tmp_path / "history.jsonl"
    output.write_text("before")
    [damaged] = Path(tmp_path, "archive", "topics").rglob("*.parquet")
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert show(settings, format="jsonl", output=output) == 1
    assert output.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if "draft-" in path.name] == []


def test_a_correlation_is_shown_as_a_tree(settings: Settings, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    steps = [("a", None), ("b", "a"), ("c", "b"), ("other", None)]
    records = [
        record(5 + number, value=encode(builders.envelope(event, id=name, causationid=cause, correlationid="request")))
        for number, (name, cause) in enumerate(steps)
        for event in [builders.playback_started(builders.session(name)).data]
    ]
    write_file(Archive.open(settings), records)
    assert show(settings, correlation="request", format="jsonl") == 0
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(line["depth"], line["id"]) for line in lines] == [(0, "a"), (1, "b"), (2, "c"), (0, "other")]
    assert show(settings, tree="b") == 0
    out = capsysbinary.readouterr().out.decode()
    assert [len(line) - len(line.lstrip()) for line in re.findall(r"Z( +playback\S+)", out)] == [2, 4, 6, 2]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"format": "parquet"}, "--output"),
        ({"output": Path("t.txt")}, "--format"),
        ({"tree": "e", "limit": 3}, "alone"),
        ({"with_data": True}, "no room for data"),
        ({"format": "csv", "open_personal": "case 7"}, "--with-data"),
        ({"format": "csv", "with_data": True, "open_personal": "case 7"}, "--without log"),
        ({"since": "2026-11-21T21:00"}, "no zone"),
        ({"zone": "Seoul"}, "IANA"),
        ({"asked": {"topics": ("nowhere",)}}, "there is no topic"),
        ({"after": "nonsense"}, "cursor"),
        ({"tree": "nobody"}, "no event 'nobody'"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(
    settings: Settings, capsys: pytest.CaptureFixture[str], wanted: dict[str, Any], says: str
) -> None:
    assert show(settings, **wanted) == 1
    assert says in capsys.readouterr().err


def test_a_mistyped_type_is_said(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(settings, asked={"types": ("playbck.*",)}) == 0
    assert "playbck.*" in capsys.readouterr().err


def test_help_teaches_by_examples() -> None:
    said = CliRunner().invoke(app, ["audit", "history", "--help"]).output
    assert "playhead audit history --person a1 --since 2026-11-21" in said
    assert "playhead audit history --tree" in said
