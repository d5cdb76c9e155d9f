"""A query reads the archive and nothing else, within its bounds, and says what was wrong with it."""

import hashlib
import re
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from audits.sql.archive import archived
from audits.sql.asking import opened
from audits.sql.refusals import (
    NotAnswered,
    NotRead,
    NotUnderstood,
    OutOfReach,
    QueryRefused,
    TooLong,
    TooManyRows,
    TooMuchMemory,
)
from audits.sql.views import ALL, COLUMNS
from events.topics import BACKFILL, DEAD_LETTERS, TOPICS
from infra.archive.records import Record
from infra.archive.store import Archive
from infra.archive.writing import write_file
from infra.settings import Settings
from tests.audits.sql.archives import archive_of, asked
from tests.builders import EVENING, movie_published, playback_started, reported, session

FOREVER = "select count(*) from range(10000000) as a, range(10000000) as b where a.range + b.range = 3"
WRITES = (
    "copy (select 1) to '/tmp/playhead-was-here.csv'",
    "copy events to 'archive://copy.parquet'",
    "attach '/tmp/playhead-was-here.db'",
    "install httpfs",
    "load httpfs",
    "export database '/tmp/playhead-was-here'",
    "create table kept (a int)",
    "create or replace view events as select 1",
    "drop view events",
    "insert into events values (1)",
    "delete from events",
    "set memory_limit = '100GB'",
    "reset threads",
    "pragma enable_progress_bar",
    "call pragma_version()",
    "create secret (type s3)",
    "explain analyze copy (select 1) to '/tmp/playhead-was-here.csv'",
    "prepare p as select 1",
    "checkpoint",
    "",
    "select 1; select 2",
)
REACHES = (
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/proc/self/environ')",
    "select * from glob('/*')",
    "select * from read_parquet('https://example.com/a.parquet')",
    "select * from read_parquet('s3://bucket/a.parquet')",
    "select * from read_text('archive://../../../etc/passwd')",
    "select * from read_text('archive://manifest/playback.events/0/0/00000000000000000000.json')",
    "select * from glob('archive://**')",
    "select * from query('select * from read_text(''/etc/passwd'')')",
    "select * from sniff_csv('/etc/passwd')",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Three days of a session, and a title."""
    of = session()
    days = [reported(seq=day, of=of, time=EVENING + timedelta(days=day)) for day in range(1, 3)]
    return archive_of(tmp_path_factory.mktemp("state"), [playback_started(of), *days, movie_published()])


def bounded(archive: Archive, **bounds: float) -> Archive:
    """The same archive, asked within other bounds."""
    settings = archive.settings.model_copy(update=bounds)
    return Archive(archive.files_of_store, settings)


def content(archive: Archive) -> dict[str, str]:
    """The digest of every file of an archive."""
    root = archive.settings.state_dir
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_events_are_those_of_every_topic(archive: Archive) -> None:
    assert asked(archive, "select topic, count(*) from events group by topic order by topic") == [
        ("catalog.events", 1),
        ("playback.events", 3),
    ]
    assert asked(archive, "select count(*) from catalog_events union all select count(*) from subscription_events") == [
        (1,),
        (0,),
    ]


def test_every_topic_has_a_table_with_every_column(archive: Archive) -> None:
    topics = (*TOPICS, BACKFILL, *DEAD_LETTERS)
    names = {str(name) for (name,) in asked(archive, "show tables")}
    assert names == {ALL, *(topic.name.replace(".", "_") for topic in topics)}
    columns = [("topic", "VARCHAR"), *((column.name, column.type) for column in COLUMNS)]
    found = asked(archive, "select table_name, column_name, data_type from duckdb_columns() where not internal")
    assert {name: [row[1:] for row in found if row[0] == name] for name in names} == dict.fromkeys(names, columns)


def test_data_is_json_as_the_event_has_it(archive: Archive) -> None:
    assert asked(archive, "select data->>'$.session.title.name', key from playback_events limit 1") == [
        ("Night of the Living Dead", "profile-1")
    ]
    [(data,)] = asked(archive, "select data from playback_events where type like '%Started%'")
    assert isinstance(data, msgspec.Raw)
    assert msgspec.json.decode(data)["start_position_ms"] == 0


def test_what_cannot_be_decoded_is_there_without_what_an_envelope_says(tmp_path: Path) -> None:
    archive = Archive.open(Settings(state_dir=tmp_path))
    write_file(archive, [Record("playback.events", 0, 0, 0, 0, b"\xff", b"\xff{", None, (("why", b"\x00"),))])
    assert asked(archive, 'select "offset", id, data, key, value from events') == [(0, None, None, None, "\\xff{")]
    assert asked(archive, "select headers is not null from events") == [(True,)]


def test_files_of_other_days_are_not_opened(archive: Archive) -> None:
    with opened(archived(archive), archive.settings) as asking:
        plan = asking.plan("select id from playback_events where day = '2026-11-22'")
        assert re.search(r"File Filters:\W+day = '2026-11-22'", plan)
        assert "Scanning Files: 1/3" in plan


def test_times_and_ids_are_filtered_where_they_are_read(archive: Archive) -> None:
    with opened(archived(archive), archive.settings) as asking:
        plan = asking.plan("select id from events where history_time >= '2026-11-22' and account_id = 'account-1'")
    pushed = "\n".join(part for part in plan.split("READ_PARQUET")[1:])
    assert "history_time" in pushed
    assert "account_id" in pushed


@pytest.mark.parametrize("sql", WRITES)
def test_what_does_more_than_read_is_refused(archive: Archive, sql: str) -> None:
    before = content(archive)
    with pytest.raises(NotRead):
        asked(archive, sql)
    assert content(archive) == before


@pytest.mark.parametrize("sql", REACHES)
def test_what_is_not_of_the_archive_is_out_of_reach(archive: Archive, sql: str) -> None:
    with pytest.raises(OutOfReach, match="reads the archive and nothing else"):
        asked(archive, sql)


def test_a_select_that_writes_over_a_file_of_the_archive_is_refused(archive: Archive) -> None:
    """DuckDB calls it a SELECT, and the file is one that the query may read."""
    before = content(archive)
    [path, *_] = archived(archive)["playback.events"]
    for how in ("(format parquet, use_tmp_file false)", "(format csv, use_tmp_file false)", "(format parquet)"):
        with pytest.raises(QueryRefused):
            asked(archive, f"with x as (copy (select 1 as a) to 'archive://{path}' {how}) select 1")
    assert content(archive) == before


def test_the_environment_and_python_are_out_of_reach(archive: Archive) -> None:
    secret = "a variable of the process that asks"
    for sql in ("select getenv('HOME')", "select * from secret"):
        with pytest.raises(NotUnderstood):
            asked(archive, sql)
    assert secret


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("selec 1", ["syntax error", "LINE 1: selec 1", "^"]),
        ("select typ from events", ['"typ" not found', '"type"', "LINE 1", "^"]),
        ("select * from event", ["event does not exist", "events"]),
        ("select count(*) from events where day = 'yesterday'", ["yesterday"]),
    ],
)
def test_what_is_wrong_with_a_query_is_shown_where_it_is(archive: Archive, sql: str, shown: Sequence[str]) -> None:
    with pytest.raises((NotUnderstood, NotAnswered)) as refused:
        asked(archive, sql)
    assert [part for part in shown if part not in str(refused.value)] == []


def test_a_query_that_takes_too_long_is_ended(archive: Archive) -> None:
    with pytest.raises(TooLong, match="PLAYHEAD_AUDIT_QUERY_TIMEOUT_S"):
        asked(bounded(archive, audit_query_timeout_s=0.3), FOREVER)


def test_a_query_can_be_ended_by_who_asked(archive: Archive) -> None:
    with opened(archived(archive), archive.settings) as asking, pytest.raises(TooLong):
        threading.Timer(0.2, asking.end).start()
        list(asking.answer(FOREVER).batches)


def test_a_query_that_needs_too_much_memory_is_refused_and_writes_nothing(archive: Archive) -> None:
    before = content(archive)
    with pytest.raises(TooMuchMemory, match="PLAYHEAD_AUDIT_QUERY_MEMORY_MB"):
        asked(bounded(archive, audit_query_memory_mb=64), "select list(range || repeat('x', 999)) from range(10000000)")
    assert content(archive) == before


def test_too_many_rows_are_told_after_those_that_are_shown(archive: Archive) -> None:
    within = bounded(archive, audit_query_max_rows=2)
    assert len(asked(within, "select id from playback_events limit 2")) == 2
    with opened(archived(within), within.settings) as asking:
        shown = 0
        with pytest.raises(TooManyRows, match="more than 2 rows"):
            for batch in asking.answer("select id from playback_events").batches:
                shown += batch.num_rows
        assert shown == 2


def test_a_value_that_cannot_be_cast_is_told(archive: Archive) -> None:
    with pytest.raises(NotAnswered, match="Could not convert string"):
        asked(archive, "select cast(id as integer) from events")


def test_a_file_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, [playback_started()])
    [path] = archived(archive)["playback.events"]
    archive.files_of_store.remove(path)
    with pytest.raises(NotAnswered, match="could not be read") as refused:
        asked(archive, "select id from events")
    assert path in str(refused.value)
