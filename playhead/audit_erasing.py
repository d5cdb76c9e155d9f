"""`playhead audit export | erase | certificate`: what is held about a person, its end, and the proof of that."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings


class Ground(StrEnum):
    """Why a person is erased (events/identity.py, ErasureGround)."""

    REQUEST = "request"
    RETENTION = "retention"
    ORDER = "order"


AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT_ID", help="as `GET /v1/accounts/{account_id}` has it")]


def erase(
    account_id: AccountId,
    ground: Annotated[Ground, typer.Option(help="they asked, were kept for as long as may be, or it was ordered")],
    reference: Annotated[
        str | None, typer.Option(help="of the case in your own books; it stays, so it names nobody")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask whether that is meant")] = False,
) -> None:
    """Erase a person for good: their account and subscription end, and their key is destroyed, in one transaction with
    the event that certifies it. Who is erased already stays so.
    """
    from playhead.erasing import run_erase  # noqa: PLC0415

    if not yes:
        typer.confirm(f"Nobody will ever read what is personal of account {account_id} again. Erase it?", abort=True)
    raise typer.Exit(run_erase(settings(), account_id, ground.value, reference))


def certificate(
    account_id: AccountId, as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False
) -> None:
    """Show the certificate of an erasure: who asked, when, on what ground, and where in the log it is recorded.

    The exit status is 1 for an account that was not erased, and for one whose key is there again.
    """
    from playhead.erasing import run_certificate  # noqa: PLC0415

    raise typer.Exit(run_certificate(settings(), account_id, as_json=as_json))


def export(
    person: Annotated[str, typer.Option(metavar="ACCOUNT_ID", help="whose: a person is an account")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="a file, written whole or not at all; FILE.zip is compressed")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="archive, kafka or log: leave a source out")] = None,
    purpose: Annotated[str, typer.Option(help="why it is opened, for the process's log")] = "export",
) -> None:
    """Write everything that is held about a person as JSON Lines: their rows in views, then every event about them.

    What is personal is opened, or marked where it is erased. docs/audits.md says what each line is.
    """
    from playhead.person_export import run  # noqa: PLC0415

    raise typer.Exit(run(settings(), person, output, without=tuple(without or ()), purpose=purpose))
