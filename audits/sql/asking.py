"""One query over the archive, within its bounds: DuckDB in memory, opened for it and closed after it.

DuckDB can reach nothing but the files of the manifest, by a filesystem that cannot write (archived_files.py): no other
file, no server, no extension; and nothing that it was told can be changed by a query (lock_configuration).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import duckdb
import pyarrow

from audits.sql.archived_files import ArchivedFiles, Entry, url_of
from audits.sql.refusals import NotRead, TooManyRows, refusal_of
from audits.sql.views import urls_literal, view_of, view_of_all
from infra.settings import Settings

BATCH_ROWS: Final = 2_048
AGAIN_S: Final = 0.02
LOCKED: Final = (
    "set TimeZone = 'UTC'",
    "set disabled_filesystems = 'LocalFileSystem'",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
READS: Final = "SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE or SHOW TABLES"

Files = Mapping[str, Mapping[str, Entry]]
"""The files of each topic, by their path within the archive."""


class Answer(NamedTuple):
    """What a query answers, as it comes. `types`: DuckDB's names, a column each. Reading `batches` raises QueryRefused,
    TooManyRows after the last row that may be shown.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    schema: pyarrow.Schema
    batches: Iterator[pyarrow.RecordBatch]


class Asking:
    """An open database for one query at a time. Make it with opened()."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, ending: "_Ending", settings: Settings) -> None:
        self._connection = connection
        self._ending = ending
        self._settings = settings

    def answer(self, sql: str) -> Answer:
        """Begin to answer. Raises QueryRefused."""
        with _refused(self._settings):
            relation = self._bound(self._one_read(sql))
            reader = relation.to_arrow_reader(BATCH_ROWS)
        types = tuple(map(str, relation.types))
        return Answer(tuple(relation.columns), types, reader.schema, self._bounded(reader))

    def plan(self, sql: str) -> str:
        """How DuckDB would answer: which files, which filters. Raises QueryRefused."""
        with _refused(self._settings):
            rows = self._connection.execute(f"explain {self._one_read(sql)}").fetchall()
        return "\n".join(str(row[1]) for row in rows)

    def progress(self) -> float:
        """How much of the query is done, in percent; below 0 while nobody knows."""
        return float(self._connection.query_progress())

    def end(self) -> None:
        """Have it end now, from another thread."""
        self._ending.end()

    def _bound(self, sql: str) -> duckdb.DuckDBPyRelation:
        try:
            return self._connection.sql(sql)
        except duckdb.ProgrammingError:
            self._connection.execute(sql)  # fails as well, and says at which place of the query
            raise

    def _one_read(self, sql: str) -> str:
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1:
            raise NotRead(f"Ask one query at a time, not {len(statements)}.")
        if statements[0].type is not duckdb.StatementType.SELECT:
            raise NotRead(f"A query reads: {READS}. This is {statements[0].type.name}.")
        return str(statements[0].query).rstrip().rstrip(";")

    def _bounded(self, reader: pyarrow.RecordBatchReader) -> Iterator[pyarrow.RecordBatch]:
        left = self._settings.audit_query_max_rows
        while True:
            with _refused(self._settings):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            if batch.num_rows > left:
                yield batch.slice(0, left)
                raise TooManyRows(
                    f"There are more than {self._settings.audit_query_max_rows} rows, which are not shown: group them, "
                    "add a LIMIT, or raise PLAYHEAD_AUDIT_QUERY_MAX_ROWS."
                )
            left -= batch.num_rows
            yield batch


@contextmanager
def opened(files: Files, settings: Settings) -> Iterator[Asking]:
    """A database with the views, locked; whatever is asked of it ends after settings.audit_query_timeout_s. Raises
    QueryRefused for files that cannot be read.
    """
    entries = {path: entry for of_topic in files.values() for path, entry in of_topic.items()}
    connection = duckdb.connect(":memory:", config=_config(settings))
    ending = _Ending(connection, settings.audit_query_timeout_s)
    try:
        connection.register_filesystem(ArchivedFiles(entries))
        with _refused(settings):
            for statement in _setting_up({topic: tuple(map(url_of, paths)) for topic, paths in files.items()}):
                connection.execute(statement)
        yield Asking(connection, ending, settings)
    finally:
        ending.close()
        connection.close()


class _Ending:
    """Interrupts a connection when its time is over, or when it is told to; again and again, as an interrupt between
    two statements, or two batches, may be lost.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._ends = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Now."""
        self._ends.set()

    def close(self) -> None:
        """Interrupt no more."""
        self._is_closed.set()
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        self._ends.wait(self._timeout_s)
        while not self._is_closed.wait(AGAIN_S):
            self._connection.interrupt()


@contextmanager
def _refused(settings: Settings) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise refusal_of(error, settings) from error


def _setting_up(urls: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for topic, of_topic in urls.items():
        yield view_of(topic, of_topic)
    yield view_of_all(urls)
    yield f"set allowed_paths = {urls_literal(url for of_topic in urls.values() for url in of_topic)}"
    yield from LOCKED


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": f"{settings.audit_query_memory_mb}MB",
        "threads": settings.audit_query_threads,
        "temp_directory": "",  # what does not fit into memory is refused: nothing is written anywhere
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,
    }
