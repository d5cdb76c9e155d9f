"""What `playhead audit query` does: the archive opened, a query answered while a bar shows how far, the answer
written.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import pyarrow
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audits.sql.archive import archived
from audits.sql.asking import Answer, Asking, opened
from audits.sql.refusals import QueryRefused
from audits.sql.views import ALL, COLUMNS, name_of
from audits.sql.writing import rows_of, shown, write_csv, write_jsonl, write_parquet
from infra.archive.errors import ArchiveAway, ArchiveDamaged
from infra.archive.store import Archive
from infra.settings import Settings
from playhead.audit_query import Format
from playhead.console import err, fail, out, say

QUIET_S = 1.0
LOOK_S = 0.2


class Wanted(NamedTuple):
    """What is to become of the answer. `output`: None is the terminal. `explain`: the plan, instead of an answer."""

    format: str
    output: Path | None = None
    explain: bool = False


def run(settings: Settings, sql: str | None, wanted: Wanted) -> int:
    """Answer a query; the exit status."""
    given = sys.stdin.read() if sql == "-" else sql
    if given is None:
        return fail('Say what to ask: playhead audit query "select ...". --list shows the tables.').exit_code
    if wanted.format == Format.PARQUET and wanted.output is None and not wanted.explain:
        return fail("Parquet goes into a file: add --output FILE.").exit_code
    try:
        with opened(archived(Archive.open(settings)), settings) as asking:
            if wanted.explain:
                say(asking.plan(given))
            else:
                _write(_begun(asking, given), wanted, settings)
    except (QueryRefused, ArchiveAway, ArchiveDamaged) as refused:
        return fail(str(refused)).exit_code
    return 0


def run_list(settings: Settings) -> int:
    """Show the tables and their columns; the exit status."""
    try:
        files = archived(Archive.open(settings))
    except (ArchiveAway, ArchiveDamaged) as refused:
        return fail(str(refused)).exit_code
    tables = Table("table", "files", "events of", box=None, pad_edge=False)
    for topic, of_topic in files.items():
        tables.add_row(name_of(topic), str(len(of_topic)), topic)
    tables.add_row(ALL, str(sum(map(len, files.values()))), "all of them")
    columns = Table("column", "type", "is", box=None, pad_edge=False)
    columns.add_row("topic", "VARCHAR", "where it was produced")
    for column in COLUMNS:
        columns.add_row(column.name, column.type, column.means)
    for table in (tables, columns):
        out.print(table, highlight=False, markup=False)
        out.print()
    return 0


def _begun(asking: Asking, sql: str) -> Answer:
    """The answer, once its first rows are there; meanwhile, if it takes long, a bar says how far it is. Raises
    QueryRefused.
    """
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(_with_first, asking, sql)
        try:
            if not wait([answering], timeout=QUIET_S).done and err.is_terminal:
                with Progress(TextColumn("reading the archive"), BarColumn(), TimeElapsedColumn(), console=err) as bar:
                    task = bar.add_task("", total=100)
                    while not wait([answering], timeout=LOOK_S).done:
                        bar.update(task, completed=max(0.0, asking.progress()))
            return answering.result()
        except KeyboardInterrupt:
            asking.end()
            raise


def _with_first(asking: Asking, sql: str) -> Answer:
    answer = asking.answer(sql)
    return answer._replace(batches=_again(next(answer.batches, None), answer.batches))


def _again(first: pyarrow.RecordBatch | None, others: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
    if first is not None:
        yield first
    yield from others


def _write(answer: Answer, wanted: Wanted, settings: Settings) -> None:
    if wanted.format == Format.PARQUET and wanted.output is not None:
        with _draft(wanted.output) as draft:
            write_parquet(answer, str(draft))
    elif wanted.format == Format.TABLE:
        _show(answer, settings.audit_query_shown_rows)
    else:
        write: Callable[[Answer, TextIO], None] = write_csv if wanted.format == Format.CSV else write_jsonl
        if wanted.output is None:
            write(answer, sys.stdout)
            return
        with _draft(wanted.output) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            write(answer, file)


@contextmanager
def _draft(output: Path) -> Iterator[Path]:
    """A file beside the wanted one that takes its place when it is whole."""
    draft = output.with_name(f".{output.name}.draft")
    try:
        yield draft
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _show(answer: Answer, most: int) -> None:
    rows = (row for batch in answer.batches for row in rows_of(answer, batch))
    table = Table(*answer.names, box=None, pad_edge=False)
    for row in islice(rows, most):
        table.add_row(*map(shown, row))
    out.print(table, highlight=False, markup=False)
    if next(rows, None) is not None:
        say(f"The first {most} rows. --format jsonl, csv or parquet has all of them.")
