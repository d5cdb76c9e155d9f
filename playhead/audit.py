"""`playhead audit`: what happened, what was known then, and whether anybody has changed it since."""

import typer

from playhead import audit_erasing, audit_query

app = typer.Typer(
    help="The whole history: what happened, who did it, what was known then, and whether anybody changed it since.",
    no_args_is_help=True,
)


@app.callback()
def _audit() -> None:
    """The whole history: what happened, who did it, what was known then, and whether anybody changed it since."""


app.command("query")(audit_query.query)
app.command("erase")(audit_erasing.erase)
app.command("certificate")(audit_erasing.certificate)
