"""How `playhead audit history` shows itself: tables, trees, how far it is, and files that are written whole."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from audits.history.events import HistoryEvent
from audits.history.reading import Reading
from audits.history.trees import Branch
from infra.clock import monotonic_s
from playhead.console import err, out

TOLD_EVERY_S: Final = 10.0
"""How often a long scan says how far it is where there is no terminal."""
UNDECODABLE: Final = "(undecodable)"
WIDTH_OF_FILES: Final = 300
"""Where nothing tells how wide it is."""


def show_events(events: Sequence[HistoryEvent], zone: ZoneInfo) -> None:
    """A table, an event a row."""
    table = _table("read from")
    for event in events:
        table.add_row(*_cells(event, zone), event.source)
    _print(table)


def show_trees(branches: Sequence[Branch], zone: ZoneInfo) -> None:
    """A table, an event a row, below its cause and further in."""
    table = _table("")
    for depth, event, note in branches:
        recorded, type_, *others = _cells(event, zone)
        table.add_row(recorded, "  " * depth + type_, *others, note or "")
    _print(table)


def say_lacks(lacks: Sequence[str]) -> None:
    """What the answer cannot have."""
    for line in lacks:
        tell(f"Lacking: {line}.")


def say_end(reading: Reading, last: HistoryEvent | None) -> None:
    """How the next page is had; None: there is none."""
    if last is not None:
        tell(f"There may be more: the same again with --after {reading.cursor(last)}")


def tell(line: str) -> None:
    """One line beside the answer."""
    err.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(reading: Reading) -> Iterator[Callable[[], None]]:
    """Shows how many records were gone through: a bar on a terminal, elsewhere a line now and then."""
    if not err.is_terminal:
        yield _Lines(reading).moved
        return
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=reading.total)
        yield lambda: bar.update(task, completed=reading.done)


class _Lines:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._told_s = monotonic_s()

    def moved(self) -> None:
        """Say how far it is, if it has been a while."""
        if monotonic_s() - self._told_s >= TOLD_EVERY_S:
            self._told_s = monotonic_s()
            tell(f"{self._reading.done} of {self._reading.total} records read")


@contextmanager
def target(output: Path | None) -> Iterator[BinaryIO]:
    """What is written to: stdout, or a file that is there once it is whole, and else stays as it was."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.draft-{os.getpid()}")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


def _table(last: str) -> Table:
    """Ids are folded where there is no room, never cut: somebody is going to ask by them."""
    table = Table("recorded", box=None, pad_edge=False)
    for name in ("type", "stream", "actor", "place", "id", last):
        table.add_column(name, overflow="fold")
    return table


def _print(table: Table) -> None:
    console = out if out.is_terminal else Console(width=WIDTH_OF_FILES)
    console.print(table, highlight=False, markup=False)


def _cells(event: HistoryEvent, zone: ZoneInfo) -> tuple[str, ...]:
    stream = event.stream or (event.key or b"").decode(errors="replace")
    told = (event.type or UNDECODABLE, stream, event.principal or "", event.place, event.id or "")
    return _shown(event.history_time, zone), *told


def _shown(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
