"""What `playhead audit history` does: the question parsed, the history read, shown or written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from audits.history.asked import Asked, BadQuestion, unknown_types
from audits.history.events import HistoryEvent
from audits.history.following import Gathered, of_correlation, of_event
from audits.history.moments import moment, zone_of
from audits.history.reading import Reading, begun
from audits.history.trees import trees
from audits.history.writing import WRITERS, branch_line
from audits.personal import Personal
from audits.sources import LOG_AWAY, Source, SourceAway, Sources, opened
from events.refusals import Refusal
from infra.archive.errors import ArchiveDamaged
from infra.person_keys import PersonKeys
from infra.personal_data import MasterKey
from infra.settings import Settings
from playhead.audit_history_shown import progress, say_end, say_lacks, show_events, show_trees, target, tell
from playhead.console import fail

PAGE: Final = 100
"""Of a table, unless told otherwise."""
READER: Final = "command-line"
TREE_FORMATS: Final = ("table", "jsonl")
Bodies: TypeAlias = Callable[[Sequence[bytes]], Awaitable[Sequence[bytes]]]


class Wanted(NamedTuple):
    """What was typed. `asked`: by the names of Asked; `span`: since, until, zone."""

    asked: Mapping[str, tuple[str, ...]]
    span: tuple[str | None, str | None, str]
    correlation: str | None = None
    tree: str | None = None
    limit: int | None = None
    after: str | None = None
    without: Sequence[str] = ()
    format: str = "table"
    output: Path | None = None
    with_data: bool = False
    open_personal: str | None = None

    @property
    def is_tree(self) -> bool:
        """Whether trees are asked for: of an event, or of a correlation and nothing else."""
        paged = self.limit is not None or self.after is not None or self.with_data or any(self.span[:2])
        of_one = self.correlation is not None and not self.asked and not paged
        return self.tree is not None or (of_one and self.format in TREE_FORMATS)

    def question(self) -> Asked:
        """What is asked. Raises BadQuestion."""
        since, until, zone = self.span
        ends = [None if each is None else moment(each, zone_of(zone)) for each in (since, until)]
        return Asked(**self.asked, since=ends[0], until=ends[1], correlation_id=self.correlation)

    def check(self) -> None:
        """Raises BadQuestion for options that do not go together."""
        if self.format == "parquet" and self.output is None:
            raise BadQuestion("Parquet goes into a file: add --output FILE")
        if self.format == "table" and self.output is not None:
            raise BadQuestion("a table goes to the terminal: --format jsonl, csv or parquet goes into a file")
        if self.tree is not None and (self.asked or self.correlation or self.after or self.limit or any(self.span[:2])):
            raise BadQuestion("--tree is asked for alone: it is all that belongs to the event")
        if self.tree is not None and self.format not in TREE_FORMATS:
            raise BadQuestion("a tree is shown as a table or as jsonl")
        if self.format == "table" and self.with_data:
            raise BadQuestion("a table has no room for data: --with-data needs --format jsonl, csv or parquet")
        if self.open_personal is not None and not self.with_data:
            raise BadQuestion("what is personal is in the data: --open-personal needs --with-data")


def run(settings: Settings, wanted: Wanted) -> int:
    """Show the history; the exit status."""
    try:
        wanted.check()
        asked = wanted.question().checked(settings)
        for each in unknown_types(asked.types):
            tell(f"No event type is called {each}; is it mistyped?")
        asyncio.run(_run(settings, wanted, asked))
    except (BadQuestion, Refusal, ArchiveDamaged) as refused:
        return fail(_told(refused)).exit_code
    except LOG_AWAY as error:
        return fail(f"It could not be read or written: {error!r}.").exit_code
    return 0


def _told(refused: Exception) -> str:
    if isinstance(refused, SourceAway):
        return f"{refused}. Leave it out with --without {refused.source}, and the answer says what it lacks."
    return f"{refused}"


async def _run(settings: Settings, wanted: Wanted, asked: Asked) -> None:
    async with opened(settings, without=[Source(each) for each in wanted.without]) as sources:
        if wanted.is_tree:
            about = wanted.tree or asked.correlation_id or ""
            _show_trees(await (of_event if wanted.tree else of_correlation)(sources, about), wanted)
            return
        async with begun(sources, asked, after=wanted.after) as reading:
            say_lacks(reading.lacks)
            await (_show if wanted.format == "table" else _write)(sources, reading, wanted)


def _show_trees(gathered: Gathered, wanted: Wanted) -> None:
    say_lacks(gathered.lacks)
    branches = trees(gathered.events, about=gathered.about)
    if wanted.format == "jsonl":
        with target(wanted.output) as to:
            to.writelines(map(branch_line, branches))
        return
    show_trees(branches, zone_of(wanted.span[2]))


async def _show(_: Sources, reading: Reading, wanted: Wanted) -> None:
    limit = wanted.limit or PAGE
    with progress(reading) as moved:
        events: list[HistoryEvent] = []
        async for slab in _slabs(reading, limit):
            events += slab
            moved()
    show_events(events, zone_of(wanted.span[2]))
    say_end(reading, events[-1] if len(events) == limit else None)


async def _write(sources: Sources, reading: Reading, wanted: Wanted) -> None:
    count, last = 0, None
    bodies_of = await _opening(sources, wanted.open_personal)
    with target(wanted.output) as to, progress(reading) as moved:
        writer = WRITERS[wanted.format](to, with_data=wanted.with_data)
        async for slab in _slabs(reading, wanted.limit):
            writer.write(slab, await bodies_of([event.value for event in slab]))
            count, last = count + len(slab), slab[-1]
            moved()
        writer.close()
    if wanted.output is not None:
        tell(f"{count} events in {wanted.output}")
    say_end(reading, last if count == wanted.limit else None)


async def _slabs(reading: Reading, limit: int | None) -> AsyncIterator[list[HistoryEvent]]:
    """At most so many events."""
    left = limit
    async with aclosing(reading.slabs()) as slabs:
        async for slab in slabs:
            yield slab if left is None else slab[:left]
            left = None if left is None else left - len(slab)
            if left is not None and left <= 0:
                return


async def _opening(sources: Sources, purpose: str | None) -> Bodies:
    """What shows events' bytes: as they are, or for a purpose with what is personal opened. Raises SourceAway."""
    if purpose is None:
        return _as_they_are
    settings = sources.settings
    pool = await sources.log()
    if pool is None:
        raise BadQuestion("the keys of persons are with the log: --open-personal cannot be had --without log")
    keys = PersonKeys(pool, MasterKey.load(settings), kept=settings.personal_keys_kept)
    personal = Personal(keys, reader=READER, purpose=purpose)

    async def opened_of(bodies: Sequence[bytes]) -> Sequence[bytes]:
        return [each.body for each in await personal.open(bodies)]

    return opened_of


async def _as_they_are(bodies: Sequence[bytes]) -> Sequence[bytes]:
    return bodies
