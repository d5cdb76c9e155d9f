"""`playhead dead-letters`: the records that projections could not take: listed, shown, tried again, discarded."""

from typing import Annotated

import typer

from infra.settings import settings

app = typer.Typer(
    help="Records that a projection could not take. See which: playhead dead-letters list. Look at one: show ID. When "
    "what failed is mended: retry ID, or retry --projection redis. When it is not worth it: discard ID --reason WHY.",
    no_args_is_help=True,
)

LetterIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="projection/topic/partition/offset")]
Projection = Annotated[str | None, typer.Option(help="only those of a projection: postgres, cassandra, redis")]
Topic = Annotated[str | None, typer.Option(help="only those of a topic: playback.events")]
SetAsideFor = Annotated[
    str | None, typer.Option("--set-aside-for", help="fold_failed, store_refused, undecodable, ...")
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="the oldest so many")]


@app.command("list")
def list_letters(
    projection: Projection = None, topic: Topic = None, set_aside_for: SetAsideFor = None, limit: Limit = 20
) -> None:
    """List open letters, the oldest first: nobody has tried them again or discarded them since they failed."""
    from playhead.dead_letter_work import run_list  # noqa: PLC0415

    raise typer.Exit(run_list(settings(), (projection, topic, set_aside_for), limit))


@app.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID", help="as list prints it")]) -> None:
    """Show all of one letter: why it was set aside, what was decided, its headers and its body."""
    from playhead.dead_letter_work import run_show  # noqa: PLC0415

    raise typer.Exit(run_show(settings(), letter_id))


@app.command()
def retry(  # noqa: PLR0913, PLR0917 - each is an option
    letter_ids: LetterIds = None,
    projection: Projection = None,
    topic: Topic = None,
    set_aside_for: SetAsideFor = None,
    limit: Limit = 1_000,
    reason: Annotated[str | None, typer.Option(help="why now; kept with the decision")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="even where later events of the stream are applied already")
    ] = False,
) -> None:
    """Have letters tried again by the projections that set them aside: those named, or all open ones that fit.

    The projection applies the record to the views that did not take it. If that fails again, the letter is open again.
    """
    from playhead.dead_letter_work import Asked, run_decide  # noqa: PLC0415

    which = (projection, topic, set_aside_for)
    raise typer.Exit(run_decide(settings(), Asked(letter_ids or [], which, limit, reason=reason, force=force)))


@app.command()
def discard(
    reason: Annotated[str, typer.Option(help="why; kept with the decision")],
    letter_ids: LetterIds = None,
    projection: Projection = None,
    topic: Topic = None,
    set_aside_for: SetAsideFor = None,
    limit: Limit = 1_000,
) -> None:
    """Have letters tried never again: those named, or all open ones that fit. They stay to be seen."""
    from playhead.dead_letter_work import Asked, run_decide  # noqa: PLC0415

    which = (projection, topic, set_aside_for)
    raise typer.Exit(run_decide(settings(), Asked(letter_ids or [], which, limit, reason=reason, discards=True)))
