"""`playhead archive`: the process that archives, and what operators do with the archive."""

import typer

from infra.settings import settings

app = typer.Typer(
    help="Keep every record of Kafka in Parquet files. Without a command: archive until told to end; several may run.",
    invoke_without_command=True,
)


@app.callback()
def archive(context: typer.Context) -> None:
    """Archive every topic until told to end; several may run at once."""
    if context.invoked_subcommand is None:
        from infra.archive.process import run  # noqa: PLC0415

        run(settings())
