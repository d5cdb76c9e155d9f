"""`playhead catalog import`: a file of titles into the catalog, with a bar where there is a terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from commands.catalog.importing.importer import Bounds, Importer, Progress
from commands.catalog.importing.journal import StateUnreadable
from commands.catalog.importing.opening import opened
from infra.clock import monotonic_s
from infra.settings import Settings
from playhead.console import fail, out, say

BAR_EVERY_S: Final = 0.2
LINE_EVERY_S: Final = 5.0
INTERRUPTED: Final = 130
GOES_ON: Final = "The same command goes on from here."
SERVERS_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def run(settings: Settings, file: Path, lanes: int) -> int:
    """Import a file; the exit status: 0 when every line was taken, 1 otherwise."""
    try:
        progress = asyncio.run(_import(settings, file, file.stat().st_size, Bounds(lanes=lanes)))
    except KeyboardInterrupt:
        say(f"Stopped. {GOES_ON}")
        return INTERRUPTED
    except StateUnreadable as error:
        return fail(str(error)).exit_code
    except (ExceptionGroup, *SERVERS_AWAY) as error:
        return _away(error)
    if progress.failed:
        return fail(f"{progress.failed} lines were not taken: {file}.errors.jsonl says which and why.").exit_code
    return 0


def _away(error: Exception) -> int:
    """What to say when Postgres does not take lines. Raises the error when it is another."""
    group = error if isinstance(error, ExceptionGroup) else ExceptionGroup("", [error])
    away = group.subgroup(SERVERS_AWAY)
    if away is None:
        raise error
    return fail(f"Postgres did not take it: {away.exceptions[0]!r}. {GOES_ON}").exit_code


async def _import(settings: Settings, file: Path, size: int, bounds: Bounds) -> Progress:
    began_s = monotonic_s()
    async with opened(settings, file, bounds) as importer, _shown(importer, size):
        progress = await importer.run(file)
    say(_summary(progress, monotonic_s() - began_s))
    return progress


def _summary(progress: Progress, took_s: float) -> str:
    return (
        f"{progress.lines} lines in {took_s:.1f} s: {progress.taken} decided, which led to {progress.events} events "
        f"({progress.taken / max(took_s, 1e-9):.0f} lines/s); {progress.skipped} taken before; {progress.failed} failed"
    )


@asynccontextmanager
async def _shown(importer: Importer, size: int) -> AsyncIterator[None]:
    showing = asyncio.create_task(_bar(importer, size) if out.is_terminal else _lines(importer, size))
    try:
        yield
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def _bar(importer: Importer, size: int) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=size)
        while True:
            bar.update(task, completed=importer.progress.bytes_read, description=_so_far(importer.progress))
            await asyncio.sleep(BAR_EVERY_S)


async def _lines(importer: Importer, size: int) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        say(f"{100 * importer.progress.bytes_read / max(size, 1):3.0f} %  {_so_far(importer.progress)}")


def _so_far(progress: Progress) -> str:
    return f"{progress.lines} lines, {progress.failed} failed"
