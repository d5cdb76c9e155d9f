"""`playhead audit as-of`: what was so at a time, and the events that made it so.

playhead audit as-of entitled --account a1 --title heat --territory KR --at 2026-11-21T21:04:00+09:00
playhead audit as-of stream subscription.account-a1 --at 2026-11-21T12:04:00Z
playhead audit as-of view watch_history --key profile=p1 --happened-by 2026-11-21T12:04:00Z
"""

from typing import Annotated

import typer

from infra.settings import settings

app = typer.Typer(
    help="What was so at a time: a stream, a subscription, a title, who was entitled to what, a row of a view; with "
    "the events that made it so.",
    no_args_is_help=True,
)

At = Annotated[str, typer.Option(help="the moment that is asked about: ISO 8601 with its offset from UTC")]
Maybe = Annotated[str | None, typer.Option(help="what Playhead had taken by then: ISO 8601 with its offset from UTC")]
Known = Annotated[str | None, typer.Option(help="by what was known at another time; default: by what was known then")]
Happened = Annotated[str | None, typer.Option(help="what had happened by then, whenever Playhead learned of it")]
Places = Annotated[list[str] | None, typer.Option("--position", help="up to topic:partition:position; repeatable")]
Territory = Annotated[str | None, typer.Option(help="where the viewer is; default: the installation's")]
Json = Annotated[bool, typer.Option("--json", help="the answer as JSON, with all that it says")]


@app.callback()
def _as_of() -> None:
    """What was so at a time, and the events that made it so."""


@app.command()
def stream(
    name: Annotated[str, typer.Argument(help="subscription.account-a1, catalog.title-heat, ...")],
    at: Maybe = None,
    happened_by: Happened = None,
    position: Places = None,
    version: Annotated[int | None, typer.Option(min=0, help="after so many of its events")] = None,
    as_json: Json = False,
) -> None:
    """Show the state that a stream had: what commands would have been decided on. Personal values are sealed."""
    from playhead import audit_as_of_work as work  # noqa: PLC0415

    work.run(work.stream(settings(), name, work.When(at, happened_by, position or ()), version), as_json=as_json)


@app.command()
def subscription(
    account: Annotated[str, typer.Option(help="an account's id")], at: At, known_at: Known = None, as_json: Json = False
) -> None:
    """Show what an account held, and whether that gave it access."""
    from playhead import audit_as_of_work as work  # noqa: PLC0415

    work.run(work.subscription(settings(), account, work.Moment(at, known_at)), as_json=as_json)


@app.command()
def title(
    title: Annotated[str, typer.Argument(help="a title's id")],
    at: At,
    territory: Territory = None,
    known_at: Known = None,
    as_json: Json = False,
) -> None:
    """Show what the catalog said of a title: published, available where, rated how."""
    from playhead import audit_as_of_work as work  # noqa: PLC0415

    work.run(work.title(settings(), title, territory, work.Moment(at, known_at)), as_json=as_json)


@app.command()
def entitled(  # noqa: PLR0913, PLR0917 - each is an option
    account: Annotated[str, typer.Option(help="an account's id")],
    title: Annotated[str, typer.Option(help="a title's id")],
    at: At,
    territory: Territory = None,
    profile: Annotated[str | None, typer.Option(help="whose limit counts; default: no limit does")] = None,
    known_at: Known = None,
    as_json: Json = False,
) -> None:
    """Say whether an account might watch a title at a moment, as a start would have been answered, and why.

    The exit status is 0 for yes, and 3 for no.
    """
    from playhead import audit_as_of_work as work  # noqa: PLC0415

    asked = work.Whether(account, title, territory, profile)
    work.run(work.entitled(settings(), asked, work.Moment(at, known_at)), as_json=as_json)


@app.command()
def view(
    name: Annotated[str, typer.Argument(help="as `playhead views list` shows it")],
    key: Annotated[list[str], typer.Option(help="name=value, as profile=p1; repeatable")],
    at: Maybe = None,
    happened_by: Happened = None,
    position: Places = None,
    as_json: Json = False,
) -> None:
    """Show the rows that a view had under a key. What is added up of other views is rebuilt instead: `playhead views
    rebuild VIEW --as-of TIME`.
    """
    from playhead import audit_as_of_work as work  # noqa: PLC0415

    work.run(work.rows(settings(), name, key, work.When(at, happened_by, position or ())), as_json=as_json)
