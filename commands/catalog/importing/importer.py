"""Reads an import file line by line and has each line decided, several at a time and in bounded memory.

Lines go to lanes by their stream, so that those of a series are decided in their order and by nobody else at the time.
A line that needs another which has not come yet (its series, its next title) waits for it, within bounds.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from commands.catalog.commands import ImportTitle
from commands.catalog.deciding import decide_in_turn
from commands.catalog.importing.journal import ErrorFile, Journal, Taken
from commands.catalog.importing.lines import (
    Identity,
    LineProblem,
    LineRefused,
    body_of,
    identity_of,
    problem_of,
    title_id_of,
    too_long,
)
from commands.catalog.refusals import NextTitleUnknown, SeriesNotPublished, SeriesUnknown
from commands.handling import Handling, Terms
from events.envelope import Context
from events.refusals import Refusal
from events.types import TitleId
from infra.http.problems import ProblemKind

LINE_REPEATED: Final = ProblemKind(409, "line-repeated", "Another line of the file is about the same title")
FILE_TOO_LONG: Final = ProblemKind(413, "file-too-long", "The file holds more lines than are taken at once")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """`lanes`: groups of lines decided at a time, each on a connection. `lane_groups`: read and not decided, a lane.
    `group_lines`: episodes of a series that follow each other, decided together. `waiting`: lines kept until the line
    that they need has come. `lines`: of a file, about 300 bytes of memory each.
    """

    lanes: int = 8
    lane_groups: int = 8
    group_lines: int = 32
    waiting: int = 10_000
    lines: int = 1_000_000
    line_bytes: int = 1024 * 1024


@dataclass
class Progress:
    """How far an import is. `taken` lines were decided, and led to `events` (none for what was so already); `skipped`
    ones were taken by an earlier run. `bytes_read`: of the file.
    """

    lines: int = 0
    taken: int = 0
    events: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_read: int = 0


@dataclass(frozen=True)
class Line:
    """A line of the file, counted from 1."""

    number: int
    content: bytes
    identity: Identity

    @property
    def stream_key(self) -> str:
        """The external id of the title whose stream decides it."""
        return self.identity.series or self.identity.external_id

    def goes_with(self, other: "Line") -> bool:
        """Whether both are episodes of one series."""
        return self.identity.series is not None and self.identity.series == other.identity.series


@dataclass
class Importer:
    """One run over one file."""

    handling: Handling
    journal: Journal
    errors: ErrorFile
    context: Context
    bounds: Bounds = field(default_factory=Bounds)
    progress: Progress = field(default_factory=Progress)
    _seen: set[bytes] = field(default_factory=set)
    _waiting: dict[TitleId, list[Line]] = field(default_factory=dict)
    _waiting_lines: int = 0

    async def run(self, file: Path) -> Progress:
        """Import a file. Ends early only when the servers do not answer; what was taken until then is remembered."""
        lanes = [asyncio.Queue[list[Line]](self.bounds.lane_groups) for _ in range(self.bounds.lanes)]
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in lanes:
                    tasks.create_task(self._drain(lane))
                async for group in self._groups(file):
                    await lanes[zlib.crc32(group[0].stream_key.encode()) % len(lanes)].put(group)
                for lane in lanes:
                    await lane.put([])
            await self._last_tries()
        finally:
            self.journal.flush()
        return self.progress

    async def _groups(self, file: Path) -> AsyncIterator[list[Line]]:
        """Episodes of a series that follow each other, in groups; every other line by itself."""
        group: list[Line] = []
        async for line in self._lines(file):
            if group and not (group[-1].goes_with(line) and len(group) < self.bounds.group_lines):
                yield group
                group = []
            group.append(line)
        if group:
            yield group

    async def _lines(self, file: Path) -> AsyncIterator[Line]:
        """The lines that are to be decided; those that cannot be, or were before, are counted and passed over."""
        with file.open("rb") as opened:
            for number, content in _numbered(opened, self.bounds.line_bytes):
                if number > self.bounds.lines:
                    self._fail(number, None, LineProblem(FILE_TOO_LONG.slug, "split the file here"))
                    return
                self.progress.lines, self.progress.bytes_read = number, opened.tell()
                try:
                    line = self._read(number, content)
                except LineRefused as refused:
                    self._fail(number, None, refused.problem)
                    continue
                if line is not None:
                    yield line
                elif number % 100 == 0:
                    await asyncio.sleep(0)  # lets the progress be shown while many lines are passed over

    def _read(self, number: int, content: bytes) -> Line | None:
        if len(content) > self.bounds.line_bytes:
            raise LineRefused(too_long(self.bounds.line_bytes))
        identity = identity_of(content)
        if identity.key in self._seen:
            raise LineRefused(
                LineProblem(LINE_REPEATED.slug, f"a line before is {identity.external_id!r} too", "/external_id")
            )
        self._seen.add(identity.key)
        if self.journal.has(identity, content):
            self.progress.skipped += 1
            return None
        return Line(number, content, identity)

    async def _drain(self, lane: asyncio.Queue[list[Line]]) -> None:
        while group := await lane.get():
            if len(group) == 1 or not await self._take_together(group):
                for line in group:
                    await self._take(line, last=False)

    async def _take_together(self, group: list[Line]) -> bool:
        """Have episodes decided at once: their stream is read once. False, and nothing done, when one is refused."""
        try:
            commands = [command for line in group for command in body_of(line.content).commands()]
            outcome = await decide_in_turn(self.handling, commands, Terms(self.context))
        except (LineRefused, Refusal):
            return False
        self.progress.events += len(outcome.recorded)
        for line in group:
            await self._took(line, last=False)
        return True

    async def _take(self, line: Line, *, last: bool) -> None:
        """Have a line decided, and those that waited for it."""
        try:
            outcome = await decide_in_turn(self.handling, body_of(line.content).commands(), Terms(self.context))
        except LineRefused as refused:
            self._fail(line.number, line.identity.external_id, refused.problem)
        except (SeriesUnknown, SeriesNotPublished, NextTitleUnknown) as refusal:
            self._wait(line, refusal, last=last)
        except Refusal as refusal:
            self._fail(line.number, line.identity.external_id, problem_of(refusal))
        else:
            self.progress.events += len(outcome.recorded)
            await self._took(line, last=last)

    async def _took(self, line: Line, *, last: bool) -> None:
        self.progress.taken += 1
        self.journal.take(Taken.of(line.identity, line.content, f"catalog.title-{title_id_of(line.stream_key)}"))
        await self._release(title_id_of(line.identity.external_id, line.identity.series), last=last)

    def _wait(self, line: Line, refusal: Refusal, *, last: bool) -> None:
        """Keep a line until what it needs has come; with no room, or at the end, it has failed."""
        if last or self._waiting_lines >= self.bounds.waiting:
            self._fail(line.number, line.identity.external_id, problem_of(refusal))
            return
        self._waiting.setdefault(_needed(line, refusal), []).append(line)
        self._waiting_lines += 1

    async def _release(self, title_id: TitleId, *, last: bool) -> None:
        for line in self._waiting.pop(title_id, ()):
            self._waiting_lines -= 1
            await self._take(line, last=last)

    async def _last_tries(self) -> None:
        """What waits still may only have missed the moment: each is tried once more, in the order of the file."""
        left = sorted((line for lines in self._waiting.values() for line in lines), key=lambda line: line.number)
        self._waiting, self._waiting_lines = {}, 0
        for line in left:
            await self._take(line, last=True)

    def _fail(self, number: int, external_id: str | None, problem: LineProblem) -> None:
        self.progress.failed += 1
        self.errors.write(number, external_id, problem)


def _needed(line: Line, refusal: Refusal) -> TitleId:
    if isinstance(refusal, NextTitleUnknown):
        [own, *_] = body_of(line.content).commands()
        assert isinstance(own, ImportTitle) and own.details.next_title_id is not None
        return own.details.next_title_id
    return title_id_of(line.stream_key)


def _numbered(file: BinaryIO, most_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, with their numbers; of one that is too long, only its beginning."""
    number = 0
    while content := file.readline(most_bytes + 1):
        number += 1
        while len(content) > most_bytes and not content.endswith(b"\n"):
            if not (rest := file.readline(most_bytes)) or rest.endswith(b"\n"):
                break
        if content.strip():
            yield number, content.rstrip(b"\r\n")
