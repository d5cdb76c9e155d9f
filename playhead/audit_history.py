"""`playhead audit history`: what happened, of whom, by whom, when; and what followed from what."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings


class Format(StrEnum):
    """How the history is written."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Without(StrEnum):
    """A source that can be left out."""

    ARCHIVE = "archive"
    KAFKA = "kafka"
    LOG = "log"


OF_EVENTS = "What is asked for"
OF_TREES = "What followed from what"
OF_ANSWER = "The answer"
Several = list[str] | None


def history(  # noqa: PLR0913, PLR0917 - each is an option
    stream: Annotated[Several, typer.Option(help="identity.account-a1, catalog.title-t1, or a session's id")] = None,
    person: Annotated[Several, typer.Option(help="an account: its streams, its profiles, all that names it")] = None,
    profile: Annotated[Several, typer.Option(help="a profile's id")] = None,
    session: Annotated[Several, typer.Option(help="a playback session's id")] = None,
    title: Annotated[Several, typer.Option(help="a title's id: its own events, and those of who played it")] = None,
    actor: Annotated[Several, typer.Option(help="who did it: a subject, as tokens name it")] = None,
    type_: Annotated[Several, typer.Option("--type", help="playback.PlaybackStarted, subscription.Payment*")] = None,
    topic: Annotated[Several, typer.Option(help="catalog.events, playback.events.dlq, playback.backfill")] = None,
    since: Annotated[str | None, typer.Option(help="recorded then or later: ISO 8601 with a zone, or a date")] = None,
    until: Annotated[str | None, typer.Option(help="recorded before")] = None,
    zone: Annotated[str, typer.Option(help="whose dates and times are meant and shown: Asia/Seoul")] = "UTC",
    correlation: Annotated[str | None, typer.Option(help="all of one request, as a tree")] = None,
    event: Annotated[Several, typer.Option(help="an event's id")] = None,
    tree: Annotated[str | None, typer.Option(help="an event's id: what it follows from, and what followed")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="a page; a table has 100, other formats all")] = None,
    after: Annotated[str | None, typer.Option(help="the page after the one whose end said this")] = None,
    without: Annotated[list[Without] | None, typer.Option(help="leave out a source that is away")] = None,
    format_: Annotated[Format, typer.Option("--format", help="of the answer")] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="a file for the answer, written whole or not at all")
    ] = None,
    with_data: Annotated[bool, typer.Option("--with-data", help="the events' own bytes too")] = False,
    open_personal: Annotated[
        str | None, typer.Option(metavar="PURPOSE", help="open sealed values in data; what for goes to the log")
    ] = None,
) -> None:
    """Show what happened, in one order, from archive, Kafka and log.

    Options of one kind add up; of several kinds, an event must fit each. A date begins when it begins in --zone.

    \b
    A person on one day, as Seoul counts days:
      playhead audit history --person a1 --since 2026-11-21 --until 2026-11-22 --zone Asia/Seoul
    Who changed a title, and how:
      playhead audit history --stream catalog.title-t1 --with-data --format jsonl
    What a request led to; what led to an event, and what followed from it:
      playhead audit history --correlation 0199...
      playhead audit history --tree 0199...
    A year of payments for a spreadsheet:
      playhead audit history --type 'subscription.Payment*' --since 2026-01-01 --format csv --output payments.csv
    While Kafka is away (the answer says what it lacks):
      playhead audit history --session s1 --without kafka
    """
    from infra.telemetry import configure_logs  # noqa: PLC0415
    from playhead.audit_history_work import Wanted, run  # noqa: PLC0415

    configure_logs(settings())  # to stderr: who opened what is personal is said there, and not in the answer
    asked = {
        "streams": stream,
        "accounts": person,
        "profiles": profile,
        "sessions": session,
        "titles": title,
        "actors": actor,
        "types": type_,
        "topics": topic,
        "event_ids": event,
    }
    wanted = Wanted(
        {name: tuple(values) for name, values in asked.items() if values},
        (since, until, zone),
        correlation=correlation,
        tree=tree,
        limit=limit,
        after=after,
        without=tuple(each.value for each in without or ()),
        format=format_.value,
        output=output,
        with_data=with_data,
        open_personal=open_personal,
    )
    raise typer.Exit(run(settings(), wanted))
