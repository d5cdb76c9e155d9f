"""`playhead audit query "select ..."`: SQL over the archive, which reads and does nothing else."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def query(
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help='one statement that reads; "-" reads stdin')] = None,
    format_: Annotated[Format, typer.Option("--format", help="of the answer")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="a file for the answer, written whole or not at all")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="how it would be answered: which files are read, which filters they get")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="the tables and their columns")] = False,
) -> None:
    """Ask the archive in SQL (DuckDB's): `events`, or a table for each topic, as playback_events.

    In bounded time, memory and rows, and without any way to change or reach anything else. Name days, and other days'
    files are not opened: select type, count(*) from events where day = '2026-11-21' group by all. Recipes:
    docs/audits.md.
    """
    from playhead.audit_query_work import Wanted, run, run_list  # noqa: PLC0415

    if list_:
        raise typer.Exit(run_list(settings()))
    raise typer.Exit(run(settings(), sql, Wanted(format_.value, output, explain)))
