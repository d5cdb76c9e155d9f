"""`playhead audit verify`, and what proves to others: checkpoint, keys, prove, checker, report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings
from playhead.console import fail, say


class Part(StrEnum):
    """What is verified: the hash chain of the log; Kafka against the log and the archive; the archive against itself,
    its checkpoints and the log; views against a replay.
    """

    LOG = "log"
    KAFKA = "kafka"
    ARCHIVE = "archive"
    CHECKPOINTS = "checkpoints"
    VIEWS = "views"


ALL = "log,kafka,archive"


def verify(  # noqa: PLR0913, PLR0917 - what can be asked
    only: Annotated[
        str, typer.Option(metavar="PARTS", help="of log, kafka, archive, checkpoints, views; by commas")
    ] = ALL,
    topic: Annotated[list[str] | None, typer.Option(help="only this one; may be repeated")] = None,
    partition: Annotated[list[int] | None, typer.Option(help="only this one; may be repeated")] = None,
    views: Annotated[
        str | None, typer.Option(metavar="all|NAME,...", help="against a replay: exact, and as costly as a rebuild")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, max=64, help="processes; PLAYHEAD_VERIFY_JOBS")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on where the run before was interrupted")] = False,
    report: Annotated[Path | None, typer.Option(help="write what was found there, signed")] = None,
    by: Annotated[str | None, typer.Option(help="who verifies, for the report; default: the user")] = None,
) -> None:
    """Find whatever was changed in history since it was recorded, and name it.

    The exit status is 0 if all is whole, 1 if something was found, 2 if something could not be checked. Views are
    checked only if named (--views): a version of each is built beside the live one, compared, and dropped.
    """
    from playhead.audit_verifying import Wanted, run_verify  # noqa: PLC0415

    named = {each.strip() for each in only.split(",") if each.strip()}
    if unknown := named - {part.value for part in Part}:
        fail(f"--only knows {', '.join(part.value for part in Part)}, and not {', '.join(sorted(unknown))}")
        raise typer.Exit(2)
    chosen = views or ("all" if Part.VIEWS.value in named else None)
    wanted = Wanted(
        parts=tuple(sorted(named)),
        topics=tuple(topic or ()),
        partitions=tuple(partition or ()),
        views=chosen,
        jobs=jobs or settings().verify_jobs,
        resume=resume,
        report=report,
        by=by,
    )
    raise typer.Exit(run_verify(settings(), wanted))


def checkpoint() -> None:
    """Sign what the archive and the log hold now. `playhead archive` does it every PLAYHEAD_CHECKPOINT_INTERVAL_S."""
    from playhead.audit_verifying import run_checkpoint  # noqa: PLC0415

    run_checkpoint(settings())


def keys(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="sign with a new key; what the old one signed still holds")
    ] = False,
) -> None:
    """Show the keys that sign checkpoints and reports, and which one signs now."""
    from playhead.audit_verifying import run_keys  # noqa: PLC0415

    run_keys(settings(), rotate=rotate)


def prove(
    event: Annotated[str, typer.Argument(metavar="EVENT_ID|PLACE", help="PLACE: topic:partition:position")],
    leaf_only: Annotated[bool, typer.Option("--leaf-only", help="show the event's hash, and not its bytes")] = False,
) -> None:
    """Print a proof that an event is in what a checkpoint signed, for who has a public key and nothing of Playhead:
    playhead audit prove EVENT_ID > proof.json; playhead audit checker > check_proof.py;
    python3 check_proof.py proof.json KEY.json
    """
    from playhead.audit_verifying import run_prove  # noqa: PLC0415

    run_prove(settings(), event, leaf_only=leaf_only)


def checker() -> None:
    """Print the script that checks proofs: it needs Python 3 and nothing else."""
    from audits.verifying.proofs import CHECKER  # noqa: PLC0415

    say(CHECKER.read_text(encoding="utf-8").rstrip("\n"))


def report(file: Annotated[Path, typer.Argument(help="as `playhead audit verify --report` wrote it")]) -> None:
    """Check a report's signature, and show what it says. The exit status is 1 if it is not what was signed."""
    from playhead.audit_verifying import run_report  # noqa: PLC0415

    raise typer.Exit(run_report(settings(), file))
