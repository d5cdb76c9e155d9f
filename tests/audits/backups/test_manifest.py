"""What a backup says of itself, and what is no backup."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from audits.backups import manifest
from audits.backups.checking import compared
from audits.backups.manifest import TABLES, Applied, Backup, BackupRefused, Dumped, Noted

AT = datetime(2026, 11, 21, 21, 4, tzinfo=UTC)
ROWS = "postgres/event_log.copy"
TOPICS = {("redis", "continue_watching"): ["playback.events"], ("cassandra", "watch_history"): ["playback.events"]}


def backup_in(directory: Path, **changes: object) -> Backup:
    """A small one, not written yet."""
    (directory / TABLES).mkdir()
    (directory / ROWS).write_bytes(b"rows")
    values = {
        "begun_at": AT,
        "snapshot_at": AT,
        "ended_at": AT,
        "revision": "0027",
        "topics": {"playback.events": 8},
        "heads": [],
        "relayed": {0: 17},
        "archive_url": "file:///archive",
        "with_archive": False,
        "archive": [],
        "roots": [],
        "tables": [Dumped("event_log", ["body"], 1, manifest.digested(directory, ROWS))],
        "copied": [],
        "checkpoint": 0,
        "sealed": b"\x00",
        "keys": [],
        "applied": [Applied("redis", "playback.events", 0, 9)],
        "views": [Noted("redis", "continue_watching", 2, "ab"), Noted("cassandra", "watch_history", 3, "cd")],
    }
    return Backup(**values | changes)  # type: ignore[arg-type]  # each is one of the fields


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    backup = backup_in(tmp_path)
    manifest.write(tmp_path, backup)
    assert manifest.read(tmp_path) == backup
    manifest.check(tmp_path, backup)


def test_a_directory_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="it is no backup"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"{}", b"\x00", b'{"format": 1'])
def test_a_manifest_that_says_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / manifest.MANIFEST).write_bytes(content)
    with pytest.raises(BackupRefused, match="cannot be read"):
        manifest.read(tmp_path)


def test_a_format_of_another_release_is_refused(tmp_path: Path) -> None:
    manifest.write(tmp_path, backup_in(tmp_path, format=2))
    with pytest.raises(BackupRefused, match="has format 2, and this release knows 1"):
        manifest.read(tmp_path)


def test_a_file_that_was_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    backup = backup_in(tmp_path)
    (tmp_path / ROWS).write_bytes(b"rowz")
    with pytest.raises(BackupRefused, match=r"event_log\.copy has 4 bytes and SHA-256"):
        manifest.check(tmp_path, backup)
    (tmp_path / ROWS).unlink()
    with pytest.raises(BackupRefused, match=r"event_log\.copy is gone"):
        manifest.check(tmp_path, backup)


def test_views_are_compared_where_they_have_the_same_events(tmp_path: Path) -> None:
    backup = backup_in(tmp_path)
    held = [Noted("redis", "continue_watching", 2, "ef"), Noted("cassandra", "watch_history", 3, "cd")]
    same = compared(backup, backup.applied, held, TOPICS)
    assert [(one.what, one.equal) for one in same] == [
        ("watch_history in cassandra", True),
        ("continue_watching in redis", False),
    ]
    later = compared(backup, [Applied("redis", "playback.events", 0, 10)], held, TOPICS)
    assert [one.equal for one in later] == [True, None]


def test_a_view_that_is_gone_differs_and_one_that_moved_cannot_be_compared(tmp_path: Path) -> None:
    backup = backup_in(tmp_path, views=[Noted("redis", "continue_watching", 2, "ef")])
    found = compared(backup, backup.applied, [Noted("cassandra", "watch_history", 3, "cd")], TOPICS)
    assert [(one.what, one.equal) for one in found] == [
        ("watch_history in cassandra", None),
        ("continue_watching in redis", False),
    ]
