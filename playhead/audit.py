"""`playhead audit`: what happened, what was known then, and whether anybody has changed it since."""

import typer

from playhead import audit_as_of, audit_erasing, audit_history, audit_query, audit_verify

app = typer.Typer(
    help="The whole history: what happened, who did it, what was known then, and whether anybody changed it since.",
    no_args_is_help=True,
)


@app.callback()
def _audit() -> None:
    """The whole history: what happened, who did it, what was known then, and whether anybody changed it since."""


app.command("history")(audit_history.history)
app.command("query")(audit_query.query)
app.command("export")(audit_erasing.export)
app.command("erase")(audit_erasing.erase)
app.command("certificate")(audit_erasing.certificate)
app.command("verify")(audit_verify.verify)
app.command("report")(audit_verify.report)
app.command("checkpoint")(audit_verify.checkpoint)
app.command("keys")(audit_verify.keys)
app.command("prove")(audit_verify.prove)
app.command("checker")(audit_verify.checker)
app.add_typer(audit_as_of.app, name="as-of")
