"""What `playhead backup` and `playhead restore` do, and how they show it: a bar on a terminal, lines elsewhere."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
from aiokafka.errors import KafkaError
from alembic.util import CommandError
from cassandra import DriverException
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from audits.backups import checking, making, restoring
from audits.backups.checking import Finding
from audits.backups.manifest import Backup, BackupRefused
from audits.backups.restoring import Restored
from audits.backups.showing import Show, Step
from infra.archive.errors import ArchiveDamaged
from infra.clock import monotonic_s
from infra.local.errors import LocalServerError
from infra.migrate import Unmigrated
from infra.settings import Settings
from playhead.console import out, say
from playhead.filling_views import filling_views
from projections.errors import ProjectionError

T = TypeVar("T")
REFUSALS: Final = (
    *(BackupRefused, Unmigrated, ArchiveDamaged, ProjectionError, LocalServerError, CommandError, KafkaError),
    *(asyncpg.PostgresError, DriverException, OSError, TimeoutError),
)
LINE_EVERY_S: Final = 5.0
MIB: Final = 1024 * 1024
SHOWN: Final = {True: "equal", False: "DIFFERENT", None: "not compared"}


def back_up(settings: Settings, directory: Path, *, with_archive: bool) -> str | None:
    """Make a backup, and say what is in it; why not, or None."""
    began_s = monotonic_s()
    with _showing() as show:
        made = _done(lambda: asyncio.run(making.make(settings, directory, with_archive=with_archive, show=show)))
    if isinstance(made, str):
        return made
    _tell(made, directory)
    say(f"It took {monotonic_s() - began_s:.1f} s.")
    return None


def _tell(made: Backup, directory: Path) -> None:
    events = sum(head.position for head in made.heads)
    records = sum(part.end - part.first for part in made.archive)
    say(f"{directory}: {events:,} events of the log, {len(made.tables)} tables, {made.bytes / MIB:,.1f} MiB")
    where = "is in it" if made.with_archive else f"stays at {made.archive_url}, and is needed to restore"
    say(f"The archive, with {records:,} records of Kafka, {where}.")
    by, after = f"{made.begun_at:%Y-%m-%d %H:%M:%S}", f"{made.snapshot_at:%H:%M:%S}"
    say(f"What was acknowledged by {by} UTC is in it; nothing that was after {after} is.")
    say("Keys are not in it. Keep these apart, or nothing personal can be read after a restore:")
    for name in made.keys:
        say(f"  {name}")


def bring_back(settings: Settings, directory: Path, archive_url: str | None) -> str | None:
    """Restore a backup; why not, or None."""
    began_s = monotonic_s()
    with _showing() as show:
        restored = _done(
            lambda: asyncio.run(restoring.restore(settings, directory, archive_url=archive_url, show=show))
        )
    if isinstance(restored, str):
        return restored
    _tell_restored(restored)
    say(f"It took {monotonic_s() - began_s:.1f} s. Start the processes: the projections make every view again.")
    return None


def _tell_restored(restored: Restored) -> None:
    say(f"The log has {restored.events:,} events, whose chain holds; Kafka has {restored.records:,} records again.")
    say(f"What was acknowledged after {restored.backup.snapshot_at:%Y-%m-%d %H:%M:%S} UTC is not here.")
    if restored.erased is None:
        say("The archive that was written on after the backup cannot be asked: whoever was erased since is back.")
        say("Erase them again.")
    if restored.erased:
        say(f"Erased again, as they were after the backup: {', '.join(restored.erased)}")
    if restored.signed > (held := restored.backup.checkpoint):
        say(f"Checkpoints {held + 1} to {restored.signed} are of what is lost: none is signed until you accept it")
        say(
            f"by writing {held} to checkpoints.public/newest in the keys directory. Keep the old archive: it proves it."
        )


def compare(settings: Settings, directory: Path, archive_url: str | None) -> str | None:
    """Have views made, and compare everything; what differs, or None."""
    began_s = monotonic_s()
    with _showing() as show, filling_views(settings):
        found = _done(lambda: asyncio.run(checking.verify(settings, directory, archive_url=archive_url, show=show)))
    if isinstance(found, str):
        return found
    for one in found:
        _show_finding(one)
    say(f"It took {monotonic_s() - began_s:.1f} s.")
    different = [one.what for one in found if one.equal is False]
    return f"not equal to the backup: {', '.join(different)}" if different else None


def _show_finding(one: Finding) -> None:
    say(f"{one.what}: {SHOWN[one.equal]}{f' ({one.detail})' if one.detail else ''}")


def _done(action: Callable[[], T]) -> T | str:
    """What came of it, or why nothing did."""
    try:
        return action()
    except REFUSALS as error:
        return str(error) or repr(error)
    except ExceptionGroup as errors:
        leaves = list(_leaves(errors))
        if not all(isinstance(each, REFUSALS) for each in leaves):
            raise
        return "; ".join(str(each) or repr(each) for each in leaves)


def _leaves(errors: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in errors.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@contextmanager
def _showing() -> Iterator[Show]:
    """Shows steps."""
    if not out.is_terminal:
        yield _in_lines()
        return
    with Bar(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=out
    ) as bar:
        task = bar.add_task("", total=None)
        shown = ""

        def show(step: Step) -> None:
            nonlocal shown
            if step.what != shown:
                shown = step.what
                bar.reset(task, description=step.what, total=step.total)
            bar.update(task, completed=step.done, total=step.total)

        yield show


def _in_lines() -> Show:
    shown, said_at_s = "", float("-inf")

    def show(step: Step) -> None:
        nonlocal shown, said_at_s
        if step.what != shown or monotonic_s() - said_at_s >= LINE_EVERY_S:
            shown, said_at_s = step.what, monotonic_s()
            say(step.what if step.total is None else f"{step.what}: {step.done:,} of {step.total:,}")

    return show
