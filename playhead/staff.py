"""`playhead staff`: who works in which role."""

from typing import Annotated

import typer

from events.identity import Role
from infra.settings import settings

app = typer.Typer(help="Say who works in which role: playhead staff grant EMAIL ROLE.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="the address of a registered account")]
Work = Annotated[Role, typer.Argument(help="what its owner works as")]


@app.command()
def grant(email: Email, role: Work) -> None:
    """Let an account's owner work in a role; how an installation gets its first operator."""
    from playhead.staff_roles import run  # noqa: PLC0415

    raise typer.Exit(run(settings(), email, role, granted=True))


@app.command()
def revoke(email: Email, role: Work) -> None:
    """Let an account's owner not work in a role any more; access tokens say so for some minutes yet."""
    from playhead.staff_roles import run  # noqa: PLC0415

    raise typer.Exit(run(settings(), email, role, granted=False))
