"""`playhead views`: the versions of the views, rebuilt beside the live ones, compared, and swapped in.

playhead views rebuild playback_sessions     a new version, from Kafka's beginning; the live one is not slowed
playhead views verify playback_sessions      row by row beside the live one, at the same offsets
playhead views swap playback_sessions        live in one step; nobody who reads or writes notices
playhead views rollback playback_sessions    and back
playhead views retire playback_sessions      drop what is not live any more
playhead views rebuild playback_sessions --as-of 2026-11-21T21:04:00+09:00    as it was then, to be looked at
playhead views show playback_sessions --key session=...                       its rows
playhead views ddl profile_screen_time_by_hour    the migration of a view that is added
"""

import gc
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from infra import migrations
from infra.settings import settings
from playhead.console import fail, out, say

T = TypeVar("T")

HELP = (
    "Versions of the views: playhead views list | status | rebuild | verify | swap | rollback | retire | cancel. "
    "A view is rebuilt from Kafka beside the live one, together with what is added up of it; then it is "
    "compared, and swapped in while everything goes on."
)
app = typer.Typer(help=HELP, no_args_is_help=True)

View = Annotated[str, typer.Argument(help="as `playhead views list` shows it")]
Number = Annotated[int | None, typer.Option("--version", help="default: the newest that is not live")]


@app.callback()
def _views() -> None:
    """Versions of the views: list, status, rebuild, verify, swap, rollback, retire; cancel what was asked over HTTP."""


@app.command("list")
def list_versions() -> None:
    """Show every version of every view: its state, how far it is, and what it waits for."""
    _status(None)


@app.command()
def status(view: Annotated[str | None, typer.Argument(help="default: every view")] = None) -> None:
    """Show the versions of a view."""
    _status(view)


@app.command()
def rebuild(
    view: Annotated[str | None, typer.Argument(help="as `playhead views list` shows it")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every view, one after the other")] = False,
    max_events_per_s: Annotated[
        int | None, typer.Option(min=1, help="a throttle; it can be changed by rebuilding again")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="stop where Playhead was at a time (ISO 8601), or at positions (topic:partition:position,...): a "
            "version to look at with `playhead views show`, never to be live"
        ),
    ] = None,
) -> None:
    """Build a new version from Kafka's beginning until it is ready, beside the live one, which stays as it is.

    It waits whenever the live views are behind, goes on where it was when it was killed, and sends no dead letters:
    what cannot be applied is counted. Run it from the release whose fold it is to have; then `playhead views swap`.
    """
    from playhead.view_versions import rebuild as rebuild_one  # noqa: PLC0415
    from playhead.view_versions import rebuildable  # noqa: PLC0415

    if (view is None) == (not all_):
        raise fail("name a view, or say --all")
    failed = []
    for name in rebuildable(settings()) if view is None else [view]:
        try:
            _run(rebuild_one(settings(), name, max_events_per_s, as_of))
        except typer.Exit as refused:
            if refused.exit_code != 1:
                raise
            failed.append(name)
    if failed:
        raise fail(f"not rebuilt: {', '.join(failed)}")


@app.command()
def pause(view: View) -> None:
    """Have the rebuild of a view stand still, wherever it runs."""
    _paused(view, True)


@app.command()
def resume(view: View) -> None:
    """Have it go on."""
    _paused(view, False)


@app.command()
def cancel(
    view: View,
    number: Annotated[int, typer.Argument(help="of the request, as GET /v1/views/requests shows it")],
    reason: Annotated[str | None, typer.Option(help="kept with it")] = None,
) -> None:
    """Have a request not carried out that was asked over HTTP and still waits."""
    from playhead.view_cancelation import cancel as take_back  # noqa: PLC0415

    _run(take_back(settings(), view, number, reason))


@app.command()
def verify(
    view: View,
    version: Number = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="differences are what a changed fold is for: it may be swapped in")
    ] = False,
) -> None:
    """Compare a version with the live one at the same offsets: rows, a digest of all, and samples of what differs."""
    from playhead.view_versions import verify as compare  # noqa: PLC0415

    if not _run(compare(settings(), view, version, accept=accept)):
        raise typer.Exit(1)


@app.command()
def swap(
    view: View,
    version: Number = None,
    force: Annotated[bool, typer.Option("--force", help="though it differs from the live one")] = False,
) -> None:
    """Have a version live in one step, without a failed read or a lost event. It is verified first.

    With another fold than the workers have, this goes on and keeps the view itself, until workers of this release run
    and none of the other; should it be ended before, `playhead views follow VIEW` goes on.
    """
    from playhead.view_versions import swap as put_in  # noqa: PLC0415

    _run(put_in(settings(), view, version, force=force))


@app.command()
def rollback(view: View) -> None:
    """Have the version live that was before: it is brought up to date first, by the release whose fold it has."""
    from playhead.view_versions import rollback as put_back  # noqa: PLC0415

    _run(put_back(settings(), view))


@app.command()
def follow(view: View) -> None:
    """Keep the newest version up to date, until it is retired or the projection's workers keep it."""
    from playhead.view_versions import follow as keep  # noqa: PLC0415

    _run(keep(settings(), view))


@app.command()
def retire(view: View, version: Number = None) -> None:
    """Drop a version that is not live, with its rows."""
    from playhead.view_versions import retire as drop  # noqa: PLC0415

    _run(drop(settings(), view, version))


@app.command()
def show(
    view: View,
    version: Annotated[int | None, typer.Option("--version", help="default: the newest that is as of a cut")] = None,
    key: Annotated[list[str] | None, typer.Option(help="name=value of the view's key; repeatable")] = None,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="rows at most")] = 100,
) -> None:
    """Print rows of a version as JSON Lines, as they are in its store."""
    from playhead.view_versions import show as rows_of  # noqa: PLC0415

    for row in _run(rows_of(settings(), view, version, key or (), most)):
        typer.echo(json.dumps(row, ensure_ascii=False, default=str))


@app.command()
def ddl(view: View) -> None:
    """Print the migration that a view's declaration makes: to be gone through, and pasted (docs/adding-a-view.md)."""
    from projections.app import cassandra_views, postgres_views, redis_views  # noqa: PLC0415
    from projections.stores.ddl import migration_of  # noqa: PLC0415

    for one in (*postgres_views(settings()), *cassandra_views(settings()), *redis_views(settings())):
        if one.name == view:
            typer.echo(migration_of(one, _newest_migration()), nl=False)
            return
    raise fail(f"no view is named {view}: is it in projections/app.py?")


def _newest_migration() -> str:
    versions = Path(migrations.__file__).parent / "postgres" / "versions"
    return max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))


def _paused(view: str, paused: bool) -> None:
    from playhead.view_versions import set_paused  # noqa: PLC0415

    _run(set_paused(settings(), view, paused=paused))


def _status(view: str | None) -> None:
    from playhead.view_versions import rows  # noqa: PLC0415

    which = ("view", "store", "version", "state", "kept by")
    table = Table(*which, "records", "set aside", "ETA", "verified", "says", box=None)
    for row in _run(rows(settings(), view)):
        table.add_row(*row)
    out.print(table, highlight=False, markup=False)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it as workers run; refusals are told in one line."""
    import uvloop  # noqa: PLC0415

    from playhead.view_versions import REFUSALS  # noqa: PLC0415
    from projections.worker import GC_THRESHOLDS  # noqa: PLC0415

    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        return uvloop.run(work)
    except REFUSALS as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt:
        say("stopped; the same command goes on where it was")
        raise typer.Exit(130) from None
