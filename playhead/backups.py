"""`playhead backup` and `playhead restore`. The work is in playhead/backup_work.py, imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from infra.settings import settings
from playhead.console import fail

Directory = Annotated[Path, typer.Argument(file_okay=False, help="of the backup")]


def backup(
    directory: Directory,
    with_archive: Annotated[
        bool, typer.Option("--with-archive", help="copy the archive's files too, not only what they are")
    ] = False,
) -> None:
    """Back up the event log, the keys of persons (wrapped) and all that views cannot be made of, to a new directory.

    It waits until the archive has what Kafka has: `playhead archive` is to run. Keys are not in it: keep the keys
    directory apart. What is acknowledged after the snapshot that it tells of is not in it either.
    """
    from playhead.backup_work import back_up  # noqa: PLC0415

    if (refused := back_up(settings(), directory, with_archive=with_archive)) is not None:
        raise fail(refused)


def restore(
    directory: Directory,
    archive: Annotated[
        str | None, typer.Option(help="file:///... or s3://...: where the archive is, if not where it was")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="run relay and projections until views have all, and compare all")
    ] = False,
    only_verify: Annotated[
        bool, typer.Option("--only-verify", help="restore nothing: compare what was restored before")
    ] = False,
) -> None:
    """Restore a backup into empty servers: tables, keys, Kafka. Refused where anything is there already.

    With --verify the exit status is 1 when anything is not equal to what it was.
    """
    from playhead.backup_work import bring_back, compare  # noqa: PLC0415

    if not only_verify and (refused := bring_back(settings(), directory, archive)) is not None:
        raise fail(refused)
    if (verify or only_verify) and (refused := compare(settings(), directory, archive)) is not None:
        raise fail(refused)
