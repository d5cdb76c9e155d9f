"""An answer in every format says the same."""

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TextIO

import msgspec
import pyarrow.parquet
import pytest

from audits.sql.archive import archived
from audits.sql.asking import Answer, opened
from audits.sql.writing import write_csv, write_jsonl, write_parquet
from infra.archive.store import Archive
from tests.audits.sql.archives import archive_of
from tests.builders import playback_started

EVERYTHING = """
    select 1 as number, 1 as number, cast(2 as hugeint) as huge, 1.50 as amount, true as yes, null as nothing,
        timestamptz '2026-11-21 19:00:00.5+00' as moment, date '2026-11-21' as day,
        [1, 2] as list, {'a': 'b'} as struct,
        data->'$.session.title' as title, '=1+1' as formula, '안녕, "you"' as text, 'a'::blob as bytes,
        interval 90 seconds as lasting
    from playback_events
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return archive_of(tmp_path_factory.mktemp("state"), [playback_started()])


def written(archive: Archive, write: Callable[[Answer, TextIO], None]) -> str:
    to = StringIO(newline="")
    with opened(archived(archive), archive.settings) as asking:
        write(asking.answer(EVERYTHING), to)
    return to.getvalue()


def test_json_lines_have_the_values_as_json_has_them(archive: Archive) -> None:
    [line] = written(archive, write_jsonl).splitlines()
    row = msgspec.json.decode(line)
    assert row.pop("title")["title_id"] == "night-of-the-living-dead"
    assert row == {
        "number": 1,
        "number_2": 1,
        "huge": 2,
        "amount": 1.5,
        "yes": True,
        "nothing": None,
        "moment": "2026-11-21T19:00:00.500000Z",
        "day": "2026-11-21",
        "list": [1, 2],
        "struct": {"a": "b"},
        "formula": "=1+1",
        "text": '안녕, "you"',
        "bytes": "a",
        "lasting": row["lasting"],
    }


def test_csv_has_a_header_and_no_formulas(archive: Archive) -> None:
    header, row = csv.reader(StringIO(written(archive, write_csv), newline=""))
    assert header[:3] == ["number", "number", "huge"]
    cells = dict(zip(header, row, strict=True))
    assert msgspec.json.decode(cells["title"])["kind"] == "movie"
    assert cells["formula"] == "'=1+1"
    assert (cells["list"], cells["yes"], cells["nothing"]) == ("[1,2]", "true", "")
    assert cells["text"] == '안녕, "you"'


def test_parquet_has_the_types(archive: Archive, tmp_path: Path) -> None:
    file = tmp_path / "answer.parquet"
    with opened(archived(archive), archive.settings) as asking:
        write_parquet(asking.answer("select history_time, partition, id from playback_events"), str(file))
    read = pyarrow.parquet.read_table(file)
    assert [str(field.type) for field in read.schema] == ["timestamp[us, tz=UTC]", "int32", "string"]
    assert read.num_rows == 1
