"""`playhead archive`: the process that archives, and what operators do with the archive."""

from typing import Annotated

import typer

from infra.settings import settings

app = typer.Typer(
    help="Keep every record of Kafka in Parquet files. Without a command: archive until told to end; several may run.",
    invoke_without_command=True,
)

Json = Annotated[bool, typer.Option("--json", help="as JSON, by partition")]


@app.callback()
def archive(context: typer.Context) -> None:
    """Archive every topic until told to end; several may run at once."""
    if context.invoked_subcommand is None:
        from playhead.archive_work import run  # noqa: PLC0415

        run(settings())


@app.command()
def status(json: Json = False) -> None:
    """How far each topic is archived, and what it takes."""
    from playhead.archive_work import run_status  # noqa: PLC0415

    raise typer.Exit(run_status(settings(), as_json=json))


@app.command()
def compact() -> None:
    """Make large files of small ones where days are past or files are many, and remove those that nobody needs."""
    from playhead.archive_work import run_compact  # noqa: PLC0415

    raise typer.Exit(run_compact(settings()))


@app.command()
def retention(
    older_than: Annotated[int, typer.Option(min=1, metavar="DAYS", help="what was recorded before")],
    topic: Annotated[list[str] | None, typer.Option(help="only these; repeatable. Default: all")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and remove nothing")] = False,
) -> None:
    """Remove records from Kafka that the archive has, read back and compared, and that every projection has applied.

    Refused by partition, with the reason, where that is not so; then the exit status is 1.
    """
    from playhead.archive_work import run_retention  # noqa: PLC0415

    raise typer.Exit(run_retention(settings(), older_than, topic, dry_run=dry_run))
