"""`playhead`: every process, and what an operator or a newcomer does around them.

What a command needs is imported when it runs, so that `playhead --help` and small processes stay light.
"""

import asyncio
import sys
import urllib.request
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from infra.settings import SettingsRefused, settings
from playhead import archive, audit, backups, dead_letters, keys, local, replay, staff, views
from playhead.console import fail, out, say

E = TypeVar("E", bound=StrEnum)

app = typer.Typer(
    name="playhead",
    help="The backend of a streaming service: events in, read models out. `playhead demo` shows all of it; step by "
    "step: `playhead up`, `playhead migrate`, then a terminal each for commands, relay, projections STORE, query-api.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(local.up)
app.command()(local.down)
app.command()(local.status)
app.command()(local.logs)


class Store(StrEnum):
    """The stores that hold read models; each has a projection process of its own."""

    POSTGRES = "postgres"
    CASSANDRA = "cassandra"
    REDIS = "redis"


@app.command()
def migrate() -> None:
    """Create or upgrade topics, Postgres tables and Cassandra tables; safe to repeat."""
    from infra.migrate import Unmigrated  # noqa: PLC0415
    from infra.migrate import migrate as migrate_all  # noqa: PLC0415

    try:
        asyncio.run(migrate_all(settings(), say))
    except Unmigrated as error:
        raise fail(str(error)) from error


@app.command()
def commands() -> None:
    """Serve the commands API (POST; port PLAYHEAD_COMMANDS_PORT, 8000)."""
    from commands.app import run  # noqa: PLC0415

    run(settings())


@app.command("query-api")
def query_api() -> None:
    """Serve the query API (GET; port PLAYHEAD_QUERY_PORT, 8001)."""
    from query_api.app import run  # noqa: PLC0415

    run(settings())


@app.command()
def audits() -> None:
    """Serve the audits API, for auditors (GET; port PLAYHEAD_AUDITS_PORT, 8002)."""
    from audits.app import run  # noqa: PLC0415

    run(settings())


@app.command()
def relay() -> None:
    """Produce the event log to Kafka; several share the partitions."""
    from infra.relay_process import run  # noqa: PLC0415

    run(settings())


@app.command()
def backfill() -> None:
    """Move playback that was imported or reported late to the views, at a pace that what is live does not feel."""
    from commands.playback.backfill_process import run  # noqa: PLC0415

    run(settings())


@app.command()
def billing(once: Annotated[bool, typer.Option("--once", help="do what is due now, and end")] = False) -> None:
    """Renew, retry and expire subscriptions as they fall due, and settle payments; several may run at once."""
    from commands.subscription.billing_process import run  # noqa: PLC0415

    run(settings(), once=once)


@app.command()
def reaper() -> None:
    """Expire playback sessions that nobody ends; safe to run twice, and late."""
    from commands.playback.reaper_process import run  # noqa: PLC0415

    run(settings())


@app.command()
def projections(store: Annotated[Store, typer.Argument(help="whose read models to build")]) -> None:
    """Fold events into one store's read models; several share the partitions."""
    from projections.app import run  # noqa: PLC0415

    run(store.value, settings())


@app.command()
def rebuilds() -> None:
    """Rebuild and swap in versions of views as operators ask over HTTP; of several, one is at work."""
    from playhead.rebuilds import run  # noqa: PLC0415

    run(settings())


@app.command("fake-payments")
def fake_payments(
    port: Annotated[int | None, typer.Option(help="default: PLAYHEAD_FAKE_PAYMENTS_PORT, 8090")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="default: the commands API of these settings")] = None,
    seed: Annotated[int, typer.Option(help="the same seed makes the same ids")] = 0,
) -> None:
    """Serve a payment provider that takes nobody's money; POST /control/rules makes it decline, delay and fail."""
    from playhead.fake_payments import run  # noqa: PLC0415

    chosen = settings()
    url = webhook_url or f"http://{chosen.host}:{chosen.commands_port}/v1/payments/webhooks"
    run(chosen, port=chosen.fake_payments_port if port is None else port, webhook_url=url, seed=seed)


@app.command()
def scheduler() -> None:
    """Publish scheduled titles when their time has come; safe to run twice, and late."""
    from commands.catalog.scheduler import run  # noqa: PLC0415

    run(settings())


app.add_typer(keys.app, name="keys")

catalog = typer.Typer(help="Work on the catalog in bulk: playhead catalog import FILE.", no_args_is_help=True)
app.add_typer(catalog, name="catalog")


@catalog.callback()
def _catalog() -> None:
    """Work on the catalog in bulk: playhead catalog import FILE."""


@catalog.command("import")
def catalog_import(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON Lines, a title a line")
    ],
    lanes: Annotated[int, typer.Option(min=1, max=64, help="lines decided at a time")] = 8,
) -> None:
    """Have the catalog say what a file says; titles are recognised by their external_id.

    Lines that were taken before and have not changed are passed over, so that an import that was stopped goes on where
    it was (FILE.state). Lines that cannot be taken are in FILE.errors.jsonl, and the exit status is 1.
    """
    from playhead.catalog_import import run  # noqa: PLC0415

    raise typer.Exit(run(settings(), file, lanes))


app.add_typer(archive.app, name="archive")
app.add_typer(staff.app, name="staff")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(views.app, name="views")
app.command()(backups.backup)
app.command()(backups.restore)
app.add_typer(audit.app, name="audit")
app.command()(replay.replay)


@app.command()
def schemas(
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; fail on drift or an incompatible change")
    ] = False,
) -> None:
    """Write the JSON Schema of every event version; refuses a change that would break readers or stored events."""
    from schemas import generate  # noqa: PLC0415

    problems = list(generate.incompatibilities()) + (list(generate.drift()) if check else [])
    if problems:
        raise fail("\n".join(problems))
    if check:
        say("schemas: as the classes say, and compatible")
    else:
        say(f"schemas: wrote {generate.write()}")


@app.command()
def token(
    subject: Annotated[str, typer.Option(help="who calls, as it will stand in the log")] = "developer",
    account: Annotated[str | None, typer.Option(help="the viewer's account id")] = None,
    profile: Annotated[str | None, typer.Option(help="the viewer's profile id")] = None,
    role: Annotated[list[str] | None, typer.Option(help="editor, billing, ...; repeatable")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="no more than these; repeatable")] = None,
    ttl_s: Annotated[int, typer.Option(min=1, max=24 * 3600, help="how long it holds")] = 12 * 3600,
) -> None:
    """Mint an access token with this installation's key, for development; prints only the token.

    For a viewer: playhead token --account acc-1 --profile pro-1. For an editor: playhead token --role editor.
    """
    from events.identity import Role  # noqa: PLC0415
    from infra.access.permissions import Principal, Scope  # noqa: PLC0415
    from infra.access.tokens import Tokens  # noqa: PLC0415

    if (account is None) != (profile is None):
        raise fail("a viewer's token needs both --account and --profile")
    principal = Principal(
        subject=subject,
        account_id=account,
        profile_id=profile,
        roles=tuple(_known(Role, each) for each in role or ()),
        scopes=frozenset(_known(Scope, each) for each in scope or ()),
    )
    out.print(Tokens(settings()).mint_access(principal, ttl_s=ttl_s), soft_wrap=True, highlight=False)


def _known(kind: type[E], given: str) -> E:
    try:
        return kind(given)
    except ValueError as error:
        raise fail(f"there is no {kind.__name__.lower()} {given!r}; there are {', '.join(kind)}") from error


@app.command()
def health(url: Annotated[str, typer.Argument(help="a process, for example http://127.0.0.1:8000")]) -> None:
    """Ask a process whether it is ready; for health checks: the exit status says it."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=settings().query_timeout_s) as reply:
            say(reply.read().decode())
    except OSError as error:
        raise fail(f"{url} is not ready: {error}") from error


@app.command()
def demo(
    seconds: Annotated[int, typer.Option(min=5, max=3600, help="how long the evening lasts")] = 30,
    viewers: Annotated[int, typer.Option(min=1, max=2000, help="simulated viewers at a time")] = 60,
    seed: Annotated[int, typer.Option(help="the same seed plays the same evening")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="leave everything running and print the URLs")] = False,
    kill: Annotated[Store | None, typer.Option(help="SIGKILL this projection process in the middle")] = None,
) -> None:
    """One evening of simulated viewers over HTTP, live; then compares what was acknowledged with every view.

    Exits 1 when any view differs from what was acknowledged.
    """
    from playhead.demo.evening import Evening, run  # noqa: PLC0415

    plan = Evening(seconds=seconds, viewers=viewers, seed=seed, keep=keep, kill=kill.value if kill else None)
    raise typer.Exit(run(settings(), plan))


def main() -> None:
    """The entry point."""
    try:
        app()
    except SettingsRefused as refused:
        sys.exit(fail(f"Playhead cannot run with these settings:\n{refused}").exit_code)
