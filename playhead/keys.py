"""`playhead keys`: the keys of an installation, listed, rotated and retired; running processes notice.

A rotation logs nobody out: the new key signs once everybody who verifies knows it, and the old one goes on verifying
until `retire` takes it away, which it refuses to do before all that the key signed has run out. A master key signs
nothing: it wraps the keys of persons. `rotate master` brings them under another one, and `retire` counts what is left.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from infra.clock import utc_now
from infra.settings import settings
from playhead.console import fail, out, say

if TYPE_CHECKING:
    from infra.access.keyring import RingKey
    from playhead.key_rings import Ring

app = typer.Typer(help="The keys that sign and wrap: playhead keys list | rotate | retire KID.", no_args_is_help=True)


class Kind(StrEnum):
    """The rings."""

    ACCESS = "access"
    INTERNAL = "internal"
    MASTER = "master"


@app.callback()
def _keys() -> None:
    """The keys that sign tokens and wrap the keys of persons: playhead keys list | rotate | retire KID."""


@app.command("list")
def list_keys() -> None:
    """Show every key, and what it does."""
    from playhead.key_rings import rings, state  # noqa: PLC0415

    table = Table("kind", "kid", "made at", "state", box=None, pad_edge=False)
    for ring in rings(settings()):
        for key in ring.known():
            made_at = key.made_at.isoformat(timespec="seconds")
            table.add_row(ring.kind.name, key.kid, made_at, state(ring, key, settings()))
    out.print(table, highlight=False, markup=False)


@app.command()
def rotate(kind: Annotated[Kind | None, typer.Argument(help="default: both that sign")] = None) -> None:
    """Add a key to a ring. It signs when it has been known for PLAYHEAD_KEYS_ANNOUNCED_S; nobody is logged out.

    master: brings every person's key, and the mail that waits, under a new master key while all goes on. Interrupted,
    the same command goes on where it was.
    """
    if kind is Kind.MASTER:
        from playhead.master_rotation import run  # noqa: PLC0415

        raise typer.Exit(run(settings()))
    from playhead.key_rings import signing_rings, signs_from  # noqa: PLC0415

    for ring in signing_rings(settings()):
        if kind in (None, ring.kind.name):
            key = ring.add()
            say(f"{ring.kind.name}: {key.kid} signs from {signs_from(key, settings()).isoformat(timespec='seconds')}")


@app.command(context_settings={"ignore_unknown_options": True})  # a kid may begin with a dash
def retire(
    kid: Annotated[str, typer.Argument(help="as `playhead keys list` shows it")],
    force: Annotated[bool, typer.Option("--force", help="though what it signed has not run out")] = False,
) -> None:
    """Take a key away, once all that it signed has run out; --force: at once, as for one that became known. A master
    key goes only when nothing is sealed by it."""
    from playhead.key_rings import ENDS, find, runs_out_at  # noqa: PLC0415

    found = find(settings(), kid)
    if found is None:
        raise fail(f"there is no key {kid!r}; `playhead keys list` shows them")
    ring, key = found
    if ring.kind.name == Kind.MASTER:
        return _retire_master(ring, key)
    ends, until = ENDS[ring.kind.name], runs_out_at(ring, key, settings())
    over = until is not None and until <= utc_now()
    if not over and not force:
        when = "it is the newest: rotate first" if until is None else f"what it signed runs out at {until.isoformat()}"
        raise fail(f"{kid} is in use: {when}. --force ends {ends}.")
    ring.remove(kid)
    say(
        f"{ring.kind.name}: {kid} is retired; " + ("nothing that it signed still held" if over else f"that ends {ends}")
    )


def _retire_master(ring: "Ring", key: "RingKey[bytes]") -> None:
    """Whatever is asked: what is under a key that is gone is gone too, and it would be everybody's."""
    from playhead.key_rings import runs_out_at  # noqa: PLC0415
    from playhead.master_rotation import SERVERS_AWAY, sealed_under  # noqa: PLC0415

    until = runs_out_at(ring, key, settings())
    if until is None:
        raise fail(f"{key.kid} is the newest: `playhead keys rotate master` first.")
    if until > utc_now():
        raise fail(f"{key.kid} may be wrapping until {until.isoformat(timespec='seconds')}.")
    try:
        sealed = sealed_under(settings(), key.kid)
    except SERVERS_AWAY as error:
        raise fail(f"Postgres cannot be asked what is sealed by it: {error!r}") from error
    if sealed:
        raise fail(f"{sealed} are sealed by {key.kid}: `playhead keys rotate master` brings them under the newest.")
    ring.remove(key.kid)
    say(f"master: {key.kid} is retired; nothing was sealed by it")
