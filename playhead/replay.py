"""`playhead replay`: a slice of the history, sent again to another topic or to an HTTP endpoint."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings

Many = list[str] | None


def replay(  # noqa: PLR0913, PLR0917 - each is an option
    to_topic: Annotated[str | None, typer.Option(help="a topic of Kafka, by the events' own keys")] = None,
    to_url: Annotated[str | None, typer.Option(help="an HTTP endpoint that takes CloudEvents: a POST each")] = None,
    since: Annotated[datetime | None, typer.Option(help="recorded from then on, UTC")] = None,
    until: Annotated[datetime | None, typer.Option(help="recorded before then, UTC")] = None,
    type_: Annotated[Many, typer.Option("--type", help="playback.PlaybackFailed, playback.*; repeatable")] = None,
    topic: Annotated[Many, typer.Option(help="events of a topic; repeatable")] = None,
    stream: Annotated[Many, typer.Option(help="of a stream; repeatable")] = None,
    account: Annotated[Many, typer.Option(help="of an account; repeatable")] = None,
    profile: Annotated[Many, typer.Option(help="of a profile; repeatable")] = None,
    session: Annotated[Many, typer.Option(help="of a playback session; repeatable")] = None,
    title: Annotated[Many, typer.Option(help="of a title; repeatable")] = None,
    actor: Annotated[Many, typer.Option(help="of who did it; repeatable")] = None,
    speed: Annotated[
        str | None, typer.Option(help="1x as it happened, 10x, max; default 1x, and max with a rate")
    ] = None,
    rate: Annotated[str | None, typer.Option(help="at most so many: 500/s")] = None,
    headers_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="of requests: a line each, Name: value")
    ] = None,
    without: Annotated[Many, typer.Option(help="a source to do without: archive, kafka, log; repeatable")] = None,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="go on with a replay that was interrupted")] = None,
    force_live: Annotated[bool, typer.Option("--force-live", help="into a topic that this installation reads")] = False,
    i_know_it_is_live: Annotated[
        str | None, typer.Option("--i-know-it-is-live", metavar="TOPIC", help="the live topic, once more")
    ] = None,
) -> None:
    """Send a slice of the history again, in order, at the speed that it happened or another: for load tests and to
    reproduce incidents.

    Events keep their ids and bytes; each record and each request says in its header playhead-replay that it is a
    replay's. Nothing goes into the topics of this installation, unless it is forced. Interrupted, it goes on with
    --resume ID. The exit status is 1 when an event was refused or not taken.
    """
    from playhead.replay_work import Forced, Wanted, run  # noqa: PLC0415

    values = {
        "streams": stream,
        "accounts": account,
        "profiles": profile,
        "sessions": session,
        "titles": title,
        "actors": actor,
        "types": type_,
        "topics": topic,
    }
    wanted = Wanted(
        which={name: tuple(given or ()) for name, given in values.items()},
        between=(since, until),
        topic=to_topic,
        url=to_url,
        speed=speed,
        rate=rate,
        without=tuple(without or ()),
        headers_file=headers_file,
        resume=resume,
        forced=Forced(force_live, i_know_it_is_live),
    )
    raise typer.Exit(run(settings(), wanted))
